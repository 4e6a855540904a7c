package qstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qstore/client-go"
)

// Every test asks a real server, which $QSTORE_URL and $QSTORE_API_KEY name.
var client = qstore.New(qstore.Options{})

func TestMain(m *testing.M) {
	if os.Getenv("QSTORE_URL") == "" {
		fmt.Fprintln(os.Stderr, "These tests ask a real server: set QSTORE_URL and QSTORE_API_KEY.")
		os.Exit(2)
	}
	os.Exit(m.Run())
}

func must[T any](t *testing.T, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func is(t *testing.T, err, wanted error) {
	t.Helper()
	if !errors.Is(err, wanted) {
		t.Fatalf("got %v, want %v", err, wanted)
	}
}

func user(email string) *qstore.Client {
	return qstore.New(qstore.Options{Email: email, Password: os.Getenv("PASSWORD")})
}

func circuit(t *testing.T, name string) *qstore.Circuit {
	t.Helper()
	gates := []map[string]any{}
	for q := 0; q < 4; q++ {
		theta := map[string]any{"theta": fmt.Sprintf("theta_%d", q)}
		gates = append(gates, map[string]any{"type": "RY", "targets": []int{q}, "parameters": theta})
	}
	draft := qstore.CircuitDraft{Name: name, NQubits: 4, Gates: gates, Metadata: map[string]any{"tags": []string{"go", name}}}
	made, err := client.Circuits.Create(context.Background(), draft)
	return must(t, made, err)
}

func config(epochs int) qstore.ConfigDraft {
	features := &qstore.FeaturesDraft{Method: qstore.Ptr("none"), Scale: qstore.Ptr("angle")}
	return qstore.ConfigDraft{
		Epochs: &epochs, Seed: qstore.Ptr(1), Dataset: &qstore.DatasetDraft{Type: "iris", Features: features},
	}
}

func submitted(t *testing.T, epochs int) string {
	t.Helper()
	draft := qstore.JobDraft{CircuitID: circuit(t, "trained").ID, Config: config(epochs)}
	job, err := client.Jobs.Submit(context.Background(), draft)
	return must(t, job, err).JobID
}

func TestCircuits(t *testing.T) {
	ctx := context.Background()
	made := circuit(t, "kept")
	changed, err := client.Circuits.Update(ctx, made.ID, qstore.CircuitPatch{Name: qstore.Ptr("renamed")})
	if must(t, changed, err).Name != "renamed" {
		t.Fatal(changed.Name)
	}
	must(t, 0, client.Circuits.Delete(ctx, made.ID))
	_, err = client.Circuits.Get(ctx, made.ID)
	is(t, err, qstore.ErrNotFound)
	must(t, 0, lastly(client.Circuits.Restore(ctx, made.ID)))
	for _, name := range []string{"a", "b", "c"} {
		circuit(t, name)
	}
	rows := client.Circuits.Iterate(qstore.List{Limit: 2, Where: map[string]string{"tags": "go"}})
	seen := map[string]bool{}
	for rows.Next(ctx) {
		seen[rows.Value().ID] = true
	}
	if rows.Err() != nil || len(seen) < 4 {
		t.Fatal(rows.Err(), seen)
	}
	zeros := map[string]float64{"theta_0": 0, "theta_1": 0, "theta_2": 0, "theta_3": 0}
	run, err := client.Circuits.Run(ctx, made.ID, qstore.ExecutionDraft{Parameters: zeros, Observables: []string{"Z0"}})
	if must(t, run, err).Expectations[0].Value != 1 {
		t.Fatal(run.Expectations)
	}
	level := 3
	smaller, err := client.Circuits.Optimize(ctx, made.ID, qstore.OptimisationDraft{OptimizationLevel: &level})
	pair := qstore.ComparisonDraft{A: made.ID, B: must(t, smaller, err).OptimizedCircuitID}
	compared, err := client.Circuits.Compare(ctx, pair)
	if same := must(t, compared, err).Equivalent; same == nil || !*same {
		t.Fatal(compared)
	}
	patched, err := client.Circuits.Update(ctx, made.ID, qstore.CircuitPatch{Gates: []map[string]any{{"type": "H", "targets": []int{0}}}})
	if must(t, patched, err).Version != 2 {
		t.Fatal(patched)
	}
	versions, err := client.Circuits.Versions(ctx, made.ID, qstore.List{})
	first, err2 := client.Circuits.Version(ctx, made.ID, 1)
	diff, err3 := client.Circuits.Diff(ctx, made.ID, 1, 2)
	if must(t, versions, err).Total != 2 || must(t, first, err2).GateCount != made.GateCount || must(t, diff, err3).Diff.Removed == 0 {
		t.Fatal(versions, first, diff)
	}
	drawing, err := client.Circuits.Drawing(ctx, made.ID, "svg", "dark")
	if !strings.HasPrefix(must(t, drawing, err), "<svg") {
		t.Fatal(drawing)
	}
}

func lastly[T any](_ T, err error) error { return err }

func TestAJobItsModelItsDeploymentItsCost(t *testing.T) {
	ctx := context.Background()
	id := submitted(t, 12)
	metrics := make(chan []int)
	go func() {
		stream, epochs := client.Jobs.StreamMetrics(ctx, id), []int{}
		for stream.Next() {
			epochs = append(epochs, stream.Value().Epoch)
		}
		metrics <- epochs
	}()
	var seqs []int
	job, err := client.Jobs.Wait(ctx, id, func(update qstore.JobProgress) { seqs = append(seqs, update.Seq) })
	must(t, job, err)
	if !sort.IntsAreSorted(seqs) || len(seqs) == 0 {
		t.Fatal(seqs)
	}
	epochs := <-metrics
	for k, epoch := range epochs {
		if epoch != 12-len(epochs)+1+k {
			t.Fatal(epochs)
		}
	}
	logs, last := client.Jobs.FollowLogs(ctx, id, 0, ""), qstore.LogLine{}
	for logs.Next() {
		last = logs.Value()
	}
	if logs.Err() != nil || !strings.HasPrefix(last.Message, "Completed") {
		t.Fatal(logs.Err(), last)
	}
	started, err := client.Models.Deploy(ctx, *job.ModelID, qstore.DeploymentDraft{})
	must(t, started, err)
	must(t, 0, lastly(client.Deployments.Wait(ctx, started.DeploymentID)))
	answer, err := client.Models.Predict(ctx, *job.ModelID, [][]float64{{0, 0, 0, 0}, {1, 2, 3, 4}}, nil)
	if len(must(t, answer, err).Predictions) != 2 {
		t.Fatal(answer)
	}
	_, err = client.Models.Predict(ctx, *job.ModelID, [][]float64{{1}}, nil)
	is(t, err, qstore.ErrValidation)
	further, err := client.Jobs.Continue(ctx, id, qstore.ContinueDraft{Epochs: qstore.Ptr(2)})
	longer, err := client.Jobs.Wait(ctx, must(t, further, err).JobID, nil)
	other := *must(t, longer, err).ModelID
	patch := qstore.ModelPatch{Name: qstore.Ptr("irises"), Version: qstore.Ptr("0.1.0")}
	must(t, 0, lastly(client.Models.Update(ctx, other, patch)))
	must(t, 0, lastly(client.Models.Promote(ctx, other, qstore.Ptr("production"))))
	compared, err := client.Models.Compare(ctx, *job.ModelID, other)
	if !must(t, compared, err).SameCircuit {
		t.Fatal(compared)
	}
	archive, err := client.Models.Export(ctx, other)
	found, err := client.Models.Verify(ctx, must(t, archive, err))
	own, failed := client.Models.Signer(ctx)
	if must(t, found, err).Signer.Fingerprint != must(t, own, failed).Fingerprint {
		t.Fatal(found)
	}
	must(t, 0, lastly(client.Models.Import(ctx, qstore.Archive{File: archive, Version: "0.2.0"})))
	_, err = client.Models.Import(ctx, qstore.Archive{File: archive})
	is(t, err, qstore.ErrConflict)
	must(t, 0, client.Models.Delete(ctx, other))
	must(t, 0, lastly(client.Models.Restore(ctx, other)))
	must(t, 0, lastly(client.Jobs.Replay(ctx, id)))
	usage, err := client.Usage.Get(ctx, qstore.Span{}, "backend")
	if must(t, usage, err).TotalCircuits == 0 {
		t.Fatal(usage)
	}
	must(t, 0, lastly(client.Models.Retire(ctx, *job.ModelID)))
	_, err = client.Models.Predict(ctx, *job.ModelID, [][]float64{{1, 2, 3, 4}}, nil)
	is(t, err, qstore.ErrGone)
}

func TestAJobThatIsCancelled(t *testing.T) {
	ctx := context.Background()
	id := submitted(t, 100_000)
	waits := make(chan error)
	go func() { waits <- lastly(client.Jobs.Wait(ctx, id, nil)) }()
	must(t, 0, lastly(client.Jobs.Cancel(ctx, id)))
	var failed *qstore.JobFailed
	if err := <-waits; !errors.As(err, &failed) || failed.Job.Status != "cancelled" {
		t.Fatal(err)
	}
}

func TestDatasets(t *testing.T) {
	ctx := context.Background()
	upload := qstore.Upload{Name: "go", Filename: "go.csv", File: []byte("a,b\n1,x\n2,y\n3,x\n4,y\n")}
	made, err := client.Datasets.Upload(ctx, upload)
	if must(t, made, err).NSamples != 4 {
		t.Fatal(made)
	}
	must(t, 0, lastly(client.Datasets.Statistics(ctx, made.ID)))
	must(t, 0, client.Datasets.Delete(ctx, made.ID))
	_, err = client.Datasets.Get(ctx, made.ID)
	is(t, err, qstore.ErrNotFound)
}

func TestKeysSessionsMoneyAndAudit(t *testing.T) {
	ctx := context.Background()
	owner := user(os.Getenv("EMAIL"))
	key, err := owner.APIKeys.Create(ctx, qstore.ApiKeyDraft{Name: "go", Scopes: []string{"circuits:read"}})
	small := qstore.New(qstore.Options{APIKey: *must(t, key, err).Key})
	must(t, 0, lastly(small.Circuits.List(ctx, qstore.List{})))
	is(t, lastly(small.Jobs.List(ctx, qstore.List{})), qstore.ErrForbidden)
	must(t, 0, owner.APIKeys.Revoke(ctx, key.ID))
	is(t, lastly(small.Circuits.List(ctx, qstore.List{})), qstore.ErrUnauthenticated)
	me, err := owner.Users.Me(ctx)
	if must(t, me, err).Email != os.Getenv("EMAIL") {
		t.Fatal(me.Email)
	}
	factor, err := owner.SecondFactor.Get(ctx)
	if must(t, factor, err).Enabled {
		t.Fatal(factor)
	}
	budget, err := owner.Budget.Update(ctx, qstore.BudgetDraft{MonthlyLimit: qstore.Ptr(50.0)})
	if qstore.Value(must(t, budget, err).MonthlyLimit) != 50 {
		t.Fatal(budget)
	}
	must(t, 0, lastly(owner.Budget.Update(ctx, qstore.BudgetDraft{})))
	verified, err := owner.Audit.Verify(ctx)
	if !must(t, verified, err).Valid {
		t.Fatal(verified)
	}
	must(t, 0, lastly(owner.Sessions.List(ctx, qstore.List{})))
	must(t, 0, lastly(owner.Organization.Get(ctx)))
	must(t, 0, lastly(owner.Outbox.List(ctx, qstore.List{})))
	must(t, 0, lastly(owner.Webhooks.Secret(ctx)))
	other := user(os.Getenv("EMAIL"))
	must(t, 0, lastly(other.Users.Me(ctx)))
	// The owner's session ends, and another is begun.
	must(t, 0, lastly(other.Sessions.EndOthers(ctx)))
	must(t, 0, lastly(owner.Users.Me(ctx)))
	must(t, 0, owner.Auth.Logout(ctx))
	is(t, lastly(owner.Users.Me(ctx)), qstore.ErrUnauthenticated)
}

func TestBackendsGraphQLAndProbes(t *testing.T) {
	ctx := context.Background()
	backends, err := client.Backends.List(ctx, qstore.List{})
	must(t, 0, lastly(client.Backends.Status(ctx, must(t, backends, err).Items[0].ID)))
	var found struct {
		Circuits []struct{ ID, Name string }
	}
	must(t, 0, client.GraphQL.Query(ctx, "{ circuits(limit: 1) { id name } }", nil, &found))
	var refused *qstore.APIError
	if err := client.GraphQL.Query(ctx, "{ nothing }", nil, &found); !errors.As(err, &refused) {
		t.Fatal(err)
	}
	health, err := client.Probes.Health(ctx)
	if must(t, health, err).Status != "ok" {
		t.Fatal(health)
	}
	must(t, 0, lastly(client.Probes.Ready(ctx)))
	must(t, 0, lastly(client.GraphQL.Schema(ctx)))
}

func TestOthersThingsAreNotThere(t *testing.T) {
	ctx := context.Background()
	rival, made := user(os.Getenv("RIVAL")), circuit(t, "mine")
	is(t, lastly(rival.Circuits.Get(ctx, made.ID)), qstore.ErrNotFound)
	is(t, rival.Circuits.Delete(ctx, made.ID), qstore.ErrNotFound)
	nobody := qstore.New(qstore.Options{APIKey: "qsk_live_" + strings.Repeat("a", 24)})
	is(t, lastly(nobody.Circuits.List(ctx, qstore.List{})), qstore.ErrUnauthenticated)
	for wanted, stream := range map[error]*qstore.Stream[qstore.Event]{
		qstore.ErrNotFound: client.Events.Subscribe(
			ctx, qstore.Listening{About: "job_" + strings.Repeat("0", 26)}, "job.progress"),
		qstore.ErrValidation:      client.Events.Subscribe(ctx, qstore.Listening{}, "weather"),
		qstore.ErrUnauthenticated: nobody.Events.Subscribe(ctx, qstore.Listening{}, "notifications"),
	} {
		for stream.Next() {
			t.Fatal(stream.Value())
		}
		is(t, stream.Err(), wanted)
	}
}

func TestAStreamThatIsClosed(t *testing.T) {
	stream := client.Events.Notifications(context.Background())
	time.Sleep(100 * time.Millisecond)
	stream.Close()
	if stream.Next() || stream.Err() != nil {
		t.Fatal(stream.Err())
	}
}

// between stands between a client and the server; `instead` answers in its place where it says so.
func between(t *testing.T, instead func(http.ResponseWriter, *http.Request) bool) *qstore.Client {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if instead(w, r) {
			return
		}
		answer, content := passedOn(t, r)
		w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
		w.WriteHeader(answer.StatusCode)
		_, _ = w.Write(content)
	}))
	t.Cleanup(proxy.Close)
	return qstore.New(qstore.Options{BaseURL: proxy.URL, APIKey: os.Getenv("QSTORE_API_KEY")})
}

func passedOn(t *testing.T, r *http.Request) (*http.Response, []byte) {
	asked, err := http.NewRequest(r.Method, os.Getenv("QSTORE_URL")+r.URL.String(), r.Body)
	if err != nil {
		t.Error(err)
	}
	asked.Header = r.Header.Clone()
	answer, err := http.DefaultClient.Do(asked)
	if err != nil {
		t.Error(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer, content
}

func TestAnAnswerThatIsLost(t *testing.T) {
	ctx := context.Background()
	var count int32
	cut := between(t, func(w http.ResponseWriter, r *http.Request) bool {
		if atomic.AddInt32(&count, 1) > 1 {
			return false
		}
		passedOn(t, r)
		connection, _, _ := w.(http.Hijacker).Hijack()
		connection.Close()
		return true
	})
	before, err := client.Jobs.List(ctx, qstore.List{})
	must(t, before, err)
	draft := qstore.JobDraft{CircuitID: circuit(t, "once").ID, Config: config(1)}
	must(t, 0, lastly(cut.Jobs.Submit(ctx, draft)))
	after, err := client.Jobs.List(ctx, qstore.List{})
	if must(t, after, err).Total != before.Total+1 || count != 2 {
		t.Fatal(before.Total, after.Total, count)
	}
}

func TestBusyServers(t *testing.T) {
	ctx := context.Background()
	answers := []func(http.ResponseWriter){
		func(w http.ResponseWriter) { refuse(w, 429, "RATE_LIMITED", "1") },
		func(w http.ResponseWriter) { refuse(w, 503, "UNAVAILABLE", "") },
		func(w http.ResponseWriter) { w.WriteHeader(502) },
	}
	busy := between(t, func(w http.ResponseWriter, _ *http.Request) bool {
		if len(answers) == 0 {
			return false
		}
		answers[0](w)
		answers = answers[1:]
		return true
	})
	began := time.Now()
	must(t, 0, lastly(busy.Circuits.List(ctx, qstore.List{})))
	if time.Since(began) < time.Second {
		t.Fatal("Retry-After was not waited for")
	}
	answers = append(answers, func(w http.ResponseWriter) { refuse(w, 429, "RATE_LIMITED", "3600") })
	var refused *qstore.APIError
	if _, err := busy.Circuits.List(ctx, qstore.List{}); !errors.As(err, &refused) || refused.RetryAfter != time.Hour {
		t.Fatal(err)
	}
	answers = append(answers, func(w http.ResponseWriter) { _, _ = w.Write([]byte("hello")) })
	is(t, lastly(busy.Circuits.List(ctx, qstore.List{})), qstore.ErrUnexpected)
}

func refuse(w http.ResponseWriter, status int, code, after string) {
	if after != "" {
		w.Header().Set("Retry-After", after)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	body := map[string]any{"success": false, "data": nil, "meta": nil, "error": map[string]any{"code": code}}
	_ = json.NewEncoder(w).Encode(body)
}

func TestNobodyThere(t *testing.T) {
	alone := qstore.New(qstore.Options{BaseURL: "http://127.0.0.1:9", APIKey: "x", Retries: 1})
	is(t, lastly(alone.Circuits.List(context.Background(), qstore.List{})), qstore.ErrConnection)
}
