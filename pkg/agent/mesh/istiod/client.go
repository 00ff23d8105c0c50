package istiod

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/flotilla-io/flotilla/pkg/agent/mesh/istiod/wire"
)

// maxMessage bounds one answer. The page of endpoints has about 1.5 KiB for each.
const maxMessage = 64 << 20

// Client is a connection to an istiod.
type Client struct {
	conn *grpc.ClientConn
}

// Connect prepares a connection, which is made when it is first used. Roots are
// those that istiod's own certificate may be under, in PEM; token returns a valid
// token with the audience istio-ca.
func Connect(address string, roots []byte, token func(context.Context) (string, error)) (*Client, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return nil, fmt.Errorf("istiod at %s: there is no root certificate to know it by", address)
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool, ServerName: ServerName, MinVersion: tls.VersionTLS12})),
		grpc.WithPerRPCCredentials(bearer(token)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.ForceCodec(wire.Codec{})),
		// It is in the cluster, or beside us; a proxy for the outer world does not lead there.
		grpc.WithNoProxy(),
	)
	if err != nil {
		return nil, fmt.Errorf("istiod at %s: %w", address, err)
	}
	return &Client{conn: conn}, nil
}

// Close ends the connection and what is under way on it.
func (c *Client) Close() { _ = c.conn.Close() } // it fails only if it was closed before

// bearer shows the token. It never goes over an insecure connection.
type bearer func(context.Context) (string, error)

func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b(ctx)
	if err != nil {
		// gRPC makes "internal" of any other error, which hides whose fault it is.
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

func (b bearer) RequireTransportSecurity() bool { return true }

// Unauthenticated tells whether istiod does not accept the token that it was shown.
func Unauthenticated(err error) bool {
	return status.Code(err) == codes.Unauthenticated
}
