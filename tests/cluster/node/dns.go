package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	zone = ".svc.cluster.local."
	ttl  = 5 // seconds, as CoreDNS has it in this zone
)

// The names of services, as pods ask for them: `SERVICE.NAMESPACE.svc.cluster.local` has the cluster IP, of a headless service the
// addresses of its ready endpoints, and an ExternalName is an alias. Nothing else has a name: pods of the tests know this machine only.
type names struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
}

func newDNSCommand() *cobra.Command {
	var kubeconfig, address string
	command := &cobra.Command{Use: "cluster-dns", RunE: func(command *cobra.Command, _ []string) error {
		return serveDNS(kubeconfig, address)
	}}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	command.Flags().StringVar(&address, "listen", "", "HOST:PORT for UDP and TCP")
	return command
}

func serveDNS(kubeconfig, address string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	known := names{factory.Core().V1().Services().Lister(), factory.Discovery().V1().EndpointSlices().Lister()}
	forever := make(chan struct{})
	factory.Start(forever)
	factory.WaitForCacheSync(forever)
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	streams, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go known.serveStreams(streams)
	return known.servePackets(packets)
}

func (n names) servePackets(packets net.PacketConn) error {
	buffer := make([]byte, 4096)
	for {
		size, sender, err := packets.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if answer, err := n.answer(buffer[:size]); err == nil {
			_, _ = packets.WriteTo(answer, sender)
		}
	}
}

func (n names) serveStreams(streams net.Listener) {
	for {
		stream, err := streams.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go n.serveStream(stream)
	}
}

func (n names) serveStream(stream net.Conn) {
	defer stream.Close()
	for {
		_ = stream.SetDeadline(time.Now().Add(10 * time.Second))
		var size uint16
		if binary.Read(stream, binary.BigEndian, &size) != nil {
			return
		}
		question := make([]byte, size)
		if _, err := io.ReadFull(stream, question); err != nil {
			return
		}
		answer, err := n.answer(question)
		if err != nil {
			return
		}
		if _, err = stream.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func (n names) answer(packet []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(packet)
	if err != nil {
		return nil, err
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	reply := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true,
		},
		Questions: []dnsmessage.Question{question},
	}
	addresses, alias, known := n.find(strings.ToLower(question.Name.String()))
	if !known {
		reply.RCode = dnsmessage.RCodeNameError
	}
	common := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: ttl}
	if alias != "" {
		target, err := dnsmessage.NewName(alias)
		if err != nil {
			return nil, err
		}
		reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: common, Body: &dnsmessage.CNAMEResource{CNAME: target}})
		common.Name = target
	}
	if question.Type == dnsmessage.TypeA {
		for _, address := range addresses {
			body := &dnsmessage.AResource{A: address.As4()}
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: common, Body: body})
		}
	}
	return reply.Pack()
}

// The addresses of a name, the name that it is an alias of, and whether it is known at all.
func (n names) find(name string) ([]netip.Addr, string, bool) {
	parts := strings.Split(strings.TrimSuffix(name, zone), ".")
	if !strings.HasSuffix(name, zone) || len(parts) != 2 {
		return nil, "", false
	}
	service, err := n.services.Services(parts[1]).Get(parts[0])
	if err != nil {
		return nil, "", false
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		alias := strings.TrimSuffix(service.Spec.ExternalName, ".") + "."
		addresses, _, _ := n.find(alias)
		return addresses, alias, true
	}
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		return n.endpoints(service), "", true
	}
	return parsed(service.Spec.ClusterIP), "", true
}

func (n names) endpoints(service *corev1.Service) (found []netip.Addr) {
	ofService := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name})
	slices, err := n.slices.EndpointSlices(service.Namespace).List(ofService)
	if err != nil {
		return nil
	}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				found = append(found, parsed(endpoint.Addresses...)...)
			}
		}
	}
	return found
}

func parsed(texts ...string) (found []netip.Addr) {
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil && address.Is4() {
			found = append(found, address)
		}
	}
	return found
}
