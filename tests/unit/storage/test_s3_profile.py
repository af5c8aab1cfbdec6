"""Keys of a profile in ~/.aws: which file says what, and what is said when there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from runplane.errors import NotFoundError
from runplane.storage.s3.profile import ProfileCredentials


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    (tmp_path / "config").write_text("[default]\nregion = here\n[profile mine]\nregion = there\n")
    (tmp_path / "credentials").write_text("[mine]\naws_access_key_id = id\naws_secret_access_key = a%b\n")
    return tmp_path


def test_both_files_say_something_of_a_profile(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")

    found = ProfileCredentials()

    assert found.config == {"region": "there"}
    assert (found()["access_key_id"], found()["secret_access_key"], found()["token"]) == ("id", "a%b", None)


def test_keys_that_somebody_renews_are_seen(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    found = ProfileCredentials()

    (aws / "credentials").write_text("[mine]\naws_access_key_id=i\naws_secret_access_key=s\naws_session_token=t\n")

    assert (found()["access_key_id"], found()["token"]) == ("i", "t")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", r"'default' in .*config holds no aws_access_key_id and no aws_secret_access_key.*got keys region"),
        ("other", r"'other' in .*holds no aws_access_key_id.*got no such profile.*AWS_PROFILE"),
    ],
)
def test_a_profile_without_keys_is_named(aws: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str) -> None:
    monkeypatch.setenv("AWS_PROFILE", name)

    with pytest.raises(NotFoundError, match=f"(?s){said}"):
        ProfileCredentials()
