package qstore

import (
	"context"
	"errors"
)

// Stream of what happens. Next waits for another value; Close ends it.
type Stream[T any] struct {
	values chan T
	value  T
	err    error
	cancel context.CancelFunc
	done   chan struct{}
}

// streamed runs what gives values until it returns; `give` is false once nobody listens any more.
func streamed[T any](ctx context.Context, run func(context.Context, func(T) bool) error) *Stream[T] {
	inside, cancel := context.WithCancel(ctx)
	made := &Stream[T]{values: make(chan T), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(made.done)
		defer close(made.values)
		err := run(inside, func(value T) bool {
			select {
			case made.values <- value:
				return true
			case <-inside.Done():
				return false
			}
		})
		if !errors.Is(err, context.Canceled) || ctx.Err() != nil {
			made.err = err
		}
	}()
	return made
}

// Next waits for another value; false where the stream has ended.
func (s *Stream[T]) Next() bool {
	value, more := <-s.values
	s.value = value
	return more
}

// Value is what Next went on to.
func (s *Stream[T]) Value() T { return s.value }

// Err is what ended the stream, if it was no good end. Only after Next was false.
func (s *Stream[T]) Err() error {
	<-s.done
	return s.err
}

// Close stops listening.
func (s *Stream[T]) Close() {
	s.cancel()
	<-s.done
}
