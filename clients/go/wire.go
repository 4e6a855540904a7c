package qstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	signIn = "/v1/auth/token"
	// beforeEnd is how long before its end an access token is renewed.
	beforeEnd = time.Minute
	// longestPause between two attempts of our own choosing.
	longestPause = 8 * time.Second
)

// Option of one request.
type Option func(*request)

// WithIdempotencyKey names a request, so that a program that starts over does nothing twice.
func WithIdempotencyKey(key string) Option {
	return func(asked *request) { asked.key = key }
}

type request struct {
	method, path string
	query        url.Values
	body         any
	// form makes a body and says of what type it is, anew for each attempt.
	form    func() (io.Reader, string, error)
	key     string
	headers map[string]string
	// unsigned requests carry no credentials, and are not sent again where they may have been acted on.
	unsigned bool
}

// wire is one server: credentials, retries, and what an answer means. Everything that asks goes through here.
type wire struct {
	base        string
	http        *http.Client
	stream      *http.Client
	retries     int
	longestWait time.Duration

	renewing     sync.Mutex
	state        sync.Mutex
	apiKey       string
	token        string
	refreshToken string
	email        string
	password     string
	ends         time.Time
}

func newWire(base string, options Options) *wire {
	made := &wire{
		base: base, retries: 5, longestWait: time.Minute, apiKey: options.APIKey, token: options.Token,
		refreshToken: options.RefreshToken, email: options.Email, password: options.Password,
	}
	if options.Retries != 0 {
		made.retries = options.Retries
	}
	if options.LongestWait != 0 {
		made.longestWait = options.LongestWait
	}
	timeout := options.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	made.http = &http.Client{Timeout: timeout, Transport: options.Transport, CheckRedirect: stay}
	made.stream = &http.Client{Transport: options.Transport, CheckRedirect: stay}
	return made
}

// Credentials ---------------------------------------------------------------------------------------------------------

func (w *wire) grant(ctx context.Context, body map[string]string) (*Tokens, error) {
	tokens := new(Tokens)
	if err := w.ask(ctx, &request{method: http.MethodPost, path: signIn, body: body, unsigned: true}, tokens); err != nil {
		return nil, err
	}
	w.take(tokens)
	return tokens, nil
}

// take asks with these from now on.
func (w *wire) take(tokens *Tokens) {
	w.state.Lock()
	defer w.state.Unlock()
	w.apiKey, w.token, w.refreshToken = "", tokens.AccessToken, tokens.RefreshToken
	w.ends = time.Now().Add(time.Duration(tokens.ExpiresIn) * time.Second)
}

// renew trades the refresh token for new ones, or signs in again, unless somebody else has done so meanwhile: whether
// there is another token than the stale one now.
func (w *wire) renew(ctx context.Context, stale string) (bool, error) {
	w.renewing.Lock()
	defer w.renewing.Unlock()
	w.state.Lock()
	token, refreshToken, email, password := w.token, w.refreshToken, w.email, w.password
	// A refresh token works once: whatever comes of it, it is not sent again.
	if token == stale {
		w.refreshToken = ""
	}
	w.state.Unlock()
	if token != stale {
		return true, nil
	}
	if refreshToken != "" {
		_, err := w.grant(ctx, map[string]string{"grant_type": "refresh_token", "refresh_token": refreshToken})
		if err == nil || !errors.Is(err, ErrUnauthenticated) {
			return err == nil, err
		}
	}
	if email == "" {
		return false, nil
	}
	_, err := w.grant(ctx, map[string]string{"grant_type": "password", "email": email, "password": password})
	return err == nil, err
}

func (w *wire) forget() {
	w.state.Lock()
	defer w.state.Unlock()
	w.token, w.refreshToken, w.email, w.password, w.ends = "", "", "", "", time.Time{}
}

func (w *wire) signedIn(ctx context.Context, into http.Header) (string, error) {
	w.state.Lock()
	apiKey, token, ends := w.apiKey, w.token, w.ends
	able := w.refreshToken != "" || w.email != ""
	w.state.Unlock()
	if apiKey != "" {
		into.Set("X-API-Key", apiKey)
		return "", nil
	}
	if able && (token == "" || (!ends.IsZero() && time.Until(ends) < beforeEnd)) {
		if _, err := w.renew(ctx, token); err != nil {
			return "", err
		}
		w.state.Lock()
		token = w.token
		w.state.Unlock()
	}
	if token != "" {
		into.Set("Authorization", "Bearer "+token)
	}
	return token, nil
}

func (w *wire) hasKey() bool {
	w.state.Lock()
	defer w.state.Unlock()
	return w.apiKey != ""
}

// Asking --------------------------------------------------------------------------------------------------------------

type meta struct {
	Total  int `json:"total"`
	Limit  int `json:"limit"`
	Offset int `json:"offset"`
}

type envelope struct {
	Data json.RawMessage `json:"data"`
	Meta *meta           `json:"meta"`
}

// ask reads `data` of the answer into a value, unless that is nil.
func (w *wire) ask(ctx context.Context, asked *request, into any) error {
	_, err := w.answer(ctx, asked, into)
	return err
}

func (w *wire) answer(ctx context.Context, asked *request, into any) (meta, error) {
	status, _, content, err := w.send(ctx, asked)
	if err != nil || status == http.StatusNoContent {
		return meta{}, err
	}
	var told envelope
	if err := json.Unmarshal(content, &told); err != nil || told.Meta == nil {
		return meta{}, fmt.Errorf("%s %s: %w", asked.method, asked.path, ErrUnexpected)
	}
	if into != nil {
		if err := json.Unmarshal(told.Data, into); err != nil {
			return meta{}, fmt.Errorf("%s %s: %w: %v", asked.method, asked.path, ErrUnexpected, err)
		}
	}
	return *told.Meta, nil
}

func (w *wire) text(ctx context.Context, path string, query url.Values) (string, error) {
	_, _, content, err := w.send(ctx, &request{method: http.MethodGet, path: path, query: query})
	return string(content), err
}

// bare reads an answer that has no envelope.
func (w *wire) bare(ctx context.Context, path string, into any) error {
	_, _, content, err := w.send(ctx, &request{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("GET %s: %w", path, ErrUnexpected)
	}
	return nil
}

// send is one request that succeeded; an *APIError where it was refused, ErrConnection where it was never answered.
func (w *wire) send(ctx context.Context, asked *request) (int, http.Header, []byte, error) {
	var encoded []byte
	if asked.body != nil {
		var err error
		if encoded, err = json.Marshal(asked.body); err != nil {
			return 0, nil, nil, err
		}
	}
	if asked.method == http.MethodPost && !asked.unsigned && asked.key == "" {
		asked.key = randomKey()
	}
	renewed := false
	for attempt := 0; ; attempt++ {
		made, token, err := w.request(ctx, asked, encoded)
		if err != nil {
			return 0, nil, nil, err
		}
		wait := pause(attempt)
		status, headers, content, err := received(w.http.Do(made))
		switch {
		case err != nil:
			if ctx.Err() != nil {
				return 0, nil, nil, ctx.Err()
			}
			// Whether a grant was given nobody knows, and a refresh token works once.
			if attempt >= w.retries || (asked.unsigned && !unsent(err)) {
				return 0, nil, nil, fmt.Errorf("%s %s%s: %w: %v", asked.method, w.base, asked.path, ErrConnection, err)
			}
		case status >= 200 && status < 300:
			return status, headers, content, nil
		default:
			refused := refusal(status, headers, content)
			if refused.Code == ErrUnauthenticated.Code && !asked.unsigned && !renewed && !w.hasKey() {
				renewed = true
				again, err := w.renew(ctx, token)
				if err != nil {
					return 0, nil, nil, err
				}
				if again {
					attempt--
					continue
				}
			}
			later, worth := pauseAfter(refused, attempt, w.longestWait)
			if !worth || attempt >= w.retries {
				return 0, nil, nil, refused
			}
			wait = later
		}
		if err := sleep(ctx, wait); err != nil {
			return 0, nil, nil, err
		}
	}
}

func (w *wire) request(ctx context.Context, asked *request, encoded []byte) (*http.Request, string, error) {
	address := w.base + asked.path
	if len(asked.query) > 0 {
		address += "?" + asked.query.Encode()
	}
	var body io.Reader
	kind := ""
	if encoded != nil {
		body, kind = bytes.NewReader(encoded), "application/json"
	}
	if asked.form != nil {
		var err error
		if body, kind, err = asked.form(); err != nil {
			return nil, "", err
		}
	}
	made, err := http.NewRequestWithContext(ctx, asked.method, address, body)
	if err != nil {
		return nil, "", err
	}
	for name, value := range asked.headers {
		made.Header.Set(name, value)
	}
	if kind != "" {
		made.Header.Set("Content-Type", kind)
	}
	if asked.key != "" {
		made.Header.Set("Idempotency-Key", asked.key)
	}
	if asked.unsigned {
		return made, "", nil
	}
	token, err := w.signedIn(ctx, made.Header)
	return made, token, err
}

// open is an answer that goes on, as it comes. Not tried again: who reads it knows where to go on.
func (w *wire) open(ctx context.Context, path string, query url.Values, last string) (io.ReadCloser, string, error) {
	headers := map[string]string{"Accept": "text/event-stream"}
	if last != "" {
		headers["Last-Event-ID"] = last
	}
	made, token, err := w.request(ctx, &request{method: http.MethodGet, path: path, query: query, headers: headers}, nil)
	if err != nil {
		return nil, token, err
	}
	response, err := w.stream.Do(made)
	if err != nil {
		return nil, token, err
	}
	if response.StatusCode != http.StatusOK {
		status, headers, content, err := received(response, nil)
		if err != nil {
			return nil, token, err
		}
		return nil, token, refusal(status, headers, content)
	}
	return response.Body, token, nil
}

func received(response *http.Response, err error) (int, http.Header, []byte, error) {
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, content, err
}

// refusal is what a refusing answer means, also that of a proxy.
func refusal(status int, headers http.Header, content []byte) *APIError {
	refused := &APIError{Status: status, RequestID: headers.Get("X-Request-ID")}
	if seconds, err := strconv.Atoi(headers.Get("Retry-After")); err == nil && seconds >= 0 {
		refused.RetryAfter = time.Duration(seconds) * time.Second
	}
	var told struct {
		Error fault `json:"error"`
	}
	if json.Unmarshal(content, &told) == nil && told.Error.Code != "" {
		refused.Code, refused.Message, refused.Details = told.Error.Code, told.Error.Message, told.Error.Details
		return refused
	}
	refused.Code = "UNEXPECTED"
	if status == 502 || status == 503 || status == 504 {
		// A proxy answers in the server's place while that restarts.
		refused.Code = ErrUnavailable.Code
	}
	refused.Message = fmt.Sprintf("%d, from something that is no Q-Store server", status)
	return refused
}

type fault struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Details map[string]any `json:"details"`
}

// pause before another attempt: half a second, one, two and so on, each up to a quarter shorter by chance.
func pause(attempt int) time.Duration {
	longest := longestPause
	if attempt < 4 {
		longest = 500 * time.Millisecond << attempt
	}
	return time.Duration(float64(longest) * (0.75 + mathrand.Float64()/4))
}

// pauseAfter is how long after a refusal another attempt may do better, and whether it may.
func pauseAfter(refused *APIError, attempt int, longest time.Duration) (time.Duration, bool) {
	switch {
	case refused.Code == ErrConflict.Code:
		// Only where the first of two requests with one idempotency key is still at it.
		return refused.RetryAfter, refused.RetryAfter > 0
	case refused.RetryAfter > 0:
		return refused.RetryAfter, refused.RetryAfter <= longest
	case refused.Code == ErrUnavailable.Code || refused.Code == ErrRateLimited.Code:
		return pause(attempt), true
	}
	return 0, false
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// unsent is whether the connection was never made.
func unsent(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}

func randomKey() string {
	made := make([]byte, 16)
	if _, err := rand.Read(made); err != nil {
		panic(err)
	}
	return hex.EncodeToString(made)
}

// at is a path with its parts, each escaped.
func at(path string, parts ...string) string {
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// values are a query without what is empty.
func values(pairs ...string) url.Values {
	found := url.Values{}
	for k := 0; k+1 < len(pairs); k += 2 {
		if pairs[k+1] != "" {
			found.Set(pairs[k], pairs[k+1])
		}
	}
	return found
}

func joined(texts []string) string { return strings.Join(texts, ",") }
