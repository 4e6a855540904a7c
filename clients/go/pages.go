package qstore

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// pageSize of what is iterated over.
const pageSize = 100

// List says which rows of a list are wanted.
type List struct {
	// Limit is how many at the most: 20 if it is zero, 100 at the most.
	Limit, Offset int
	// Sort is a field; with a minus in front the largest comes first.
	Sort string
	// Where are the list's own filters, such as {"status": "completed"}; several values are separated by commas.
	Where map[string]string
}

// Page is some rows of a list, and how many there are in all.
type Page[T any] struct {
	Items                []T
	Total, Limit, Offset int
}

func (l List) query() url.Values {
	found := values("sort", l.Sort)
	for name, value := range l.Where {
		found.Set(name, value)
	}
	if l.Limit > 0 {
		found.Set("limit", strconv.Itoa(l.Limit))
	}
	if l.Offset > 0 {
		found.Set("offset", strconv.Itoa(l.Offset))
	}
	return found
}

func page[T any](ctx context.Context, w *wire, path string, list List) (*Page[T], error) {
	found := new(Page[T])
	told, err := w.answer(ctx, &request{method: http.MethodGet, path: path, query: list.query()}, &found.Items)
	if err != nil {
		return nil, err
	}
	found.Total, found.Limit, found.Offset = told.Total, told.Limit, told.Offset
	return found, nil
}

// Rows of a list, page after page; none twice where others come in meanwhile.
//
//	rows := client.Circuits.Iterate(qstore.List{})
//	for rows.Next(ctx) {
//		fmt.Println(rows.Value().Name)
//	}
//	err := rows.Err()
type Rows[T any] struct {
	wire  *wire
	path  string
	list  List
	name  func(T) string
	seen  map[string]bool
	items []T
	value T
	done  bool
	err   error
}

func rows[T any](w *wire, path string, list List, name func(T) string) *Rows[T] {
	list.Offset = 0
	if list.Limit == 0 {
		list.Limit = pageSize
	}
	return &Rows[T]{wire: w, path: path, list: list, name: name, seen: map[string]bool{}}
}

// Next goes on to another row; false where there is none, or something went wrong.
func (r *Rows[T]) Next(ctx context.Context) bool {
	for r.err == nil {
		for len(r.items) > 0 {
			r.value, r.items = r.items[0], r.items[1:]
			if name := r.name(r.value); name == "" || !r.seen[name] {
				r.seen[name] = true
				return true
			}
		}
		if r.done {
			return false
		}
		var found *Page[T]
		if found, r.err = page[T](ctx, r.wire, r.path, r.list); r.err != nil {
			return false
		}
		r.items = found.Items
		r.list.Offset += len(found.Items)
		r.done = len(found.Items) == 0 || r.list.Offset >= found.Total
	}
	return false
}

// Value is the row that Next went on to.
func (r *Rows[T]) Value() T { return r.value }

// Err is what went wrong, if anything did.
func (r *Rows[T]) Err() error { return r.err }
