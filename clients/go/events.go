package qstore

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// AwayTime is how long a stream waits for a server that is away before it gives up.
const AwayTime = 5 * time.Minute

// channelOf names the channels whose events have another name.
var channelOf = map[string]string{"cost.update": "cost.updates", "notification": "notifications"}

// Events are `GET /v1/events`: everything that happens, as it happens.
type Events struct{ wire *wire }

// Event is one of them. Reset: events were missed that nobody has any more, so ask how things are.
type Event struct {
	Channel string
	Seq     int
	Data    json.RawMessage
	Reset   bool
}

// Listening says where a stream of events begins.
type Listening struct {
	// About is the id that the channels are about.
	About string
	// LastSeq is the last event that you have seen; of a job's channels.
	LastSeq *int
	// Away is how long the server may be away; AwayTime if it is zero.
	Away time.Duration
}

// Subscribe to channels until you stop listening; a lost connection is made again and goes on where it was. Close it,
// or cancel its context.
//
//	stream := client.Events.Subscribe(ctx, qstore.Listening{}, "notifications")
//	defer stream.Close()
//	for stream.Next() {
//		fmt.Println(string(stream.Value().Data))
//	}
//	err := stream.Err()
func (e *Events) Subscribe(ctx context.Context, listening Listening, channels ...string) *Stream[Event] {
	return streamed(ctx, func(ctx context.Context, give func(Event) bool) error {
		return e.listen(ctx, listening, channels, give)
	})
}

// Notifications are what people of the organization want to know: ended jobs, deployments, alerts of the budget.
func (e *Events) Notifications(ctx context.Context) *Stream[Notification] {
	return of[Notification](ctx, e, Listening{}, "notifications")
}

// Costs are what the organization has spent, whenever that or the limit changes.
func (e *Events) Costs(ctx context.Context) *Stream[CostUpdate] {
	return of[CostUpdate](ctx, e, Listening{}, "cost.updates")
}

// of is the payloads of one channel.
func of[T any](ctx context.Context, e *Events, listening Listening, channel string) *Stream[T] {
	return streamed(ctx, func(ctx context.Context, give func(T) bool) error {
		var failed error
		err := e.listen(ctx, listening, []string{channel}, func(event Event) bool {
			if event.Reset {
				return true
			}
			var told T
			if failed = json.Unmarshal(event.Data, &told); failed != nil {
				return false
			}
			return give(told)
		})
		if failed != nil {
			return failed
		}
		return err
	})
}

func (e *Events) listen(ctx context.Context, listening Listening, channels []string, give func(Event) bool) error {
	named := make([]string, len(channels))
	last := make([]string, len(channels))
	for k, channel := range channels {
		named[k] = channel
		if listening.About != "" {
			named[k] += ":" + listening.About
		}
		if listening.LastSeq != nil {
			last[k] = strconv.Itoa(*listening.LastSeq)
		}
	}
	place := ""
	if listening.LastSeq != nil {
		place = joined(last)
	}
	return e.wire.follow(ctx, "/v1/events", values("channels", joined(named)), place, listening.Away,
		func(told message) (bool, error) {
			if told.event == "fault" {
				var said struct {
					Error fault `json:"error"`
				}
				if err := json.Unmarshal(told.data, &said); err != nil {
					return false, err
				}
				return false, &APIError{Code: said.Error.Code, Message: said.Error.Message, Details: said.Error.Details}
			}
			if told.event == "reset" {
				var said struct {
					Channel string `json:"channel"`
					Seq     int    `json:"seq"`
				}
				if err := json.Unmarshal(told.data, &said); err != nil {
					return false, err
				}
				return give(Event{Channel: said.Channel, Seq: said.Seq, Reset: true}), nil
			}
			channel := first(channelOf[told.event], told.event)
			places := strings.Split(told.id, ",")
			for k, one := range channels {
				if one == channel && k < len(places) {
					seq, _ := strconv.Atoi(strings.SplitN(places[k], "@", 2)[0])
					return give(Event{Channel: channel, Seq: seq, Data: numbered(told.data, seq)}), nil
				}
			}
			return true, nil
		}, nil)
}

// numbered is a payload with its number, which the types of events have.
func numbered(data json.RawMessage, seq int) json.RawMessage {
	if text := strings.TrimSpace(string(data)); strings.HasPrefix(text, "{") && len(text) > 2 {
		return json.RawMessage(fmt.Sprintf(`{"seq":%d,%s`, seq, text[1:]))
	}
	return data
}

// follow a stream of server-sent events until `take` has enough, coming back to where it was whenever it breaks.
//
// `over`, where there is one, says after each end of the stream whether that was its own end.
func (w *wire) follow(
	ctx context.Context, path string, query map[string][]string, last string, away time.Duration,
	take func(message) (bool, error), over func() (bool, error),
) error {
	if away == 0 {
		away = AwayTime
	}
	since, attempt, renewed := time.Now(), 0, false
	for {
		body, token, err := w.open(ctx, path, query, last)
		if err == nil {
			var more bool
			var wrong error
			more, err = read(body, func(told message) (bool, error) {
				since, attempt, renewed = time.Now(), 0, false
				last = first(told.id, last)
				if told.event == "bye" {
					return true, nil
				}
				more, failed := take(told)
				wrong = failed
				return more, failed
			})
			body.Close()
			if wrong != nil {
				return wrong
			}
			if err == nil && !more {
				return nil
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var refused *APIError
		switch {
		case errors.Is(err, ErrUnauthenticated):
			again := false
			if !renewed && !w.hasKey() {
				var failed error
				if again, failed = w.renew(ctx, token); failed != nil {
					return failed
				}
			}
			if !again {
				return err
			}
			renewed = true
			continue
		case errors.As(err, &refused) && refused.Code != ErrUnavailable.Code && refused.RetryAfter == 0:
			return err
		}
		if over != nil {
			if ended, failed := over(); failed != nil && !errors.Is(failed, ErrConnection) {
				return failed
			} else if ended && failed == nil {
				return nil
			}
		}
		if time.Since(since) > away {
			return fmt.Errorf("%s stayed away: %w: %v", w.base, ErrConnection, err)
		}
		wait := pause(attempt)
		if wait > 2*time.Second {
			wait = 2 * time.Second
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		attempt++
	}
}

// message of a stream of server-sent events (HTML Living Standard §9.2.6).
type message struct {
	event, id string
	data      json.RawMessage
}

// read messages until there are no more, or `take` has enough: then there are.
func read(body io.Reader, take func(message) (bool, error)) (bool, error) {
	lines := bufio.NewReader(body)
	told := message{event: "message"}
	var data []string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			if err == io.EOF {
				return true, nil
			}
			return true, fmt.Errorf("%w: %v", ErrConnection, err)
		}
		line = strings.TrimRight(line, "\r\n")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if len(data) > 0 {
				told.data = json.RawMessage(strings.Join(data, "\n"))
				if more, err := take(told); err != nil || !more {
					return false, err
				}
			}
			told.event, data = "message", nil
		case name == "data":
			data = append(data, value)
		case name == "event":
			told.event = value
		case name == "id":
			told.id = value
		}
	}
}
