//go:build linux

package realnode

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	dnsTTL     = 5 // seconds
	dnsTimeout = 3 * time.Second
	// dnsRequest is the longest request that comes over UDP.
	dnsRequest = 4096
)

// serveDNS is the DNS server of a node: addresses of Services, and of the pods of
// headless ones, by their full names. It knows nothing else.
func serveDNS() error {
	if len(os.Args) != 3 {
		return errors.New("the DNS server of a node takes an address and a kubeconfig")
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[2])
	if err != nil {
		return err
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	listener, err := net.ListenPacket("udp", net.JoinHostPort(os.Args[1], "53"))
	if err != nil {
		return err
	}
	buffer := make([]byte, dnsRequest)
	for {
		size, from, err := listener.ReadFrom(buffer)
		if err != nil {
			return err
		}
		request := append([]byte(nil), buffer[:size]...)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), dnsTimeout)
			defer cancel()
			reply, err := answer(ctx, client, request)
			if err == nil {
				_, err = listener.WriteTo(reply, from)
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "request from %s: %v\n", from, err)
			}
		}()
	}
}

// answer answers a request for one name.
func answer(ctx context.Context, client kubernetes.Interface, request []byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(request); err != nil {
		return nil, err
	}
	if len(message.Questions) != 1 {
		return nil, fmt.Errorf("%d questions", len(message.Questions))
	}
	question := message.Questions[0]
	addresses, err := addressesOf(ctx, client, question.Name.String())
	message.Response, message.Authoritative, message.RecursionAvailable = true, true, true
	message.Additionals = nil
	switch {
	case apierrors.IsNotFound(err):
		message.RCode = dnsmessage.RCodeNameError
	case err != nil:
		return nil, err
	case question.Type == dnsmessage.TypeA:
		for _, address := range addresses {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: dnsTTL},
				Body:   &dnsmessage.AResource{A: address.As4()},
			})
		}
	}
	return message.Pack()
}

// addressesOf returns the addresses of a name, or an error that is NotFound.
func addressesOf(ctx context.Context, client kubernetes.Interface, name string) ([]netip.Addr, error) {
	labels := strings.Split(strings.TrimSuffix(strings.ToLower(name), ".svc."+clusterName+"."), ".")
	if len(labels) != 2 {
		return nil, apierrors.NewNotFound(corev1.Resource("services"), name)
	}
	service, err := client.CoreV1().Services(labels[1]).Get(ctx, labels[0], metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	texts := []string{service.Spec.ClusterIP}
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		texts = nil
		slices, err := client.DiscoveryV1().EndpointSlices(labels[1]).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + labels[0]})
		if err != nil {
			return nil, err
		}
		for i := range slices.Items {
			for _, endpoint := range slices.Items[i].Endpoints {
				texts = append(texts, endpoint.Addresses...)
			}
		}
	}
	var addresses []netip.Addr
	for _, text := range texts {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}
