package qstore

import (
	"net/http"
	"os"
	"strings"
	"time"
)

// Development is where a development server listens (the specification's "Base URL").
const Development = "http://localhost:8000"

// Options of a client. Credentials are an API key (else $QSTORE_API_KEY, where nothing else is given), or tokens, or a
// user; the first of these that is given.
type Options struct {
	// BaseURL is the server's address; else $QSTORE_URL, else Development.
	BaseURL string
	// APIKey is `qsk_…`.
	APIKey string
	// Token is an access token, and RefreshToken trades itself for new tokens when that ends.
	Token, RefreshToken string
	// Email and Password sign in when it is first needed, and again when the session has ended.
	Email, Password string
	// Timeout is how long an answer may take; a minute if it is zero.
	Timeout time.Duration
	// Retries is how often a request is sent again that found no server, a busy one, or an empty bucket: five times if it
	// is zero, never if it is negative. Every POST carries an Idempotency-Key, so what was done is not done twice.
	Retries int
	// LongestWait is how long the server may ask to wait before another try; beyond that its error is returned. A minute
	// if it is zero.
	LongestWait time.Duration
	// Transport, where the default is not wanted; for a certificate of the server's own, say.
	Transport http.RoundTripper
}

// Client of one Q-Store server: every noun of the API, in the order of its documentation.
type Client struct {
	Auth         *Auth
	Users        *Users
	SecondFactor *SecondFactors
	Sessions     *Sessions
	Organization *Organizations
	Roles        *Roles
	Invitations  *Invitations
	APIKeys      *APIKeys
	Circuits     *Circuits
	Datasets     *Datasets
	Jobs         *Jobs
	Events       *Events
	Sweeps       *Sweeps
	Models       *Models
	Deployments  *Deployments
	Backends     *Backends
	Usage        *UsageReports
	Budget       *Budgets
	Outbox       *Outbox
	Webhooks     *Webhooks
	Audit        *Audit
	Workers      *Workers
	Downloads    *Downloads
	GraphQL      *GraphQLDoor
	Probes       *Probes
}

// New is a client of one server.
func New(options Options) *Client {
	if options.APIKey == "" && options.Token == "" && options.RefreshToken == "" && options.Email == "" {
		options.APIKey = os.Getenv("QSTORE_API_KEY")
	}
	base := first(options.BaseURL, os.Getenv("QSTORE_URL"), Development)
	// Without the `/v1` that the specification's base URLs end with.
	base = strings.TrimRight(strings.TrimSuffix(strings.TrimRight(base, "/"), "/v1"), "/")
	wire := newWire(base, options)
	events := &Events{wire}
	return &Client{
		Auth:         &Auth{wire},
		Users:        &Users{wire},
		SecondFactor: &SecondFactors{wire},
		Sessions:     &Sessions{wire},
		Organization: &Organizations{wire},
		Roles:        &Roles{wire},
		Invitations:  &Invitations{wire},
		APIKeys:      &APIKeys{wire},
		Circuits:     &Circuits{wire},
		Datasets:     &Datasets{wire},
		Jobs:         &Jobs{wire, events},
		Events:       events,
		Sweeps:       &Sweeps{wire},
		Models:       &Models{wire},
		Deployments:  &Deployments{wire, events},
		Backends:     &Backends{wire, events},
		Usage:        &UsageReports{wire},
		Budget:       &Budgets{wire},
		Outbox:       &Outbox{wire},
		Webhooks:     &Webhooks{wire},
		Audit:        &Audit{wire},
		Workers:      &Workers{wire},
		Downloads:    &Downloads{wire},
		GraphQL:      &GraphQLDoor{wire},
		Probes:       &Probes{wire},
	}
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
