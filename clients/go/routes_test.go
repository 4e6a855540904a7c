package qstore_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"

	"github.com/qstore/client-go"
)

// TestRoutes calls every verb of every noun and prints what each asks for: who runs this compares that with the routes
// that there are.
func TestRoutes(t *testing.T) {
	var lock sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		fmt.Println("asked", r.Method, r.URL.Path)
		lock.Unlock()
		refuse(w, 404, "NOT_FOUND", "")
	}))
	defer server.Close()
	asks := qstore.New(qstore.Options{BaseURL: server.URL, APIKey: "x", Retries: -1})
	nouns := reflect.ValueOf(asks).Elem()
	for k := 0; k < nouns.NumField(); k++ {
		noun := nouns.Field(k)
		for m := 0; m < noun.NumMethod(); m++ {
			call(noun.Method(m))
		}
	}
}

func call(verb reflect.Value) {
	kind := verb.Type()
	var given []reflect.Value
	for k := 0; k < kind.NumIn(); k++ {
		if kind.IsVariadic() && k == kind.NumIn()-1 {
			if kind.In(k).Elem().Kind() == reflect.String {
				given = append(given, reflect.ValueOf("notifications"))
			}
			continue
		}
		value := reflect.New(kind.In(k)).Elem()
		switch {
		case kind.In(k).String() == "context.Context":
			value = reflect.ValueOf(context.Background())
		case kind.In(k).Kind() == reflect.String:
			value.SetString("qasm3")
		}
		given = append(given, value)
	}
	answered := verb.Call(given)[0]
	if next := answered.MethodByName("Next"); next.IsValid() {
		if next.Type().NumIn() == 1 {
			next.Call([]reflect.Value{reflect.ValueOf(context.Background())})
		} else {
			next.Call(nil)
		}
	}
}
