"""``python -m runplane``: the command, whatever its entry point is called."""

from .cli.main import main

main()
