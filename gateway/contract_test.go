package gateway_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/requests"
	"github.com/pb33f/libopenapi-validator/responses"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"

	"vibesdk-gcp/gateway"
)

// contract holds calls against an OpenAPI document, with a library that knows the standard and nothing of us.
type contract struct {
	whole validator.Validator
	model *v3.Document
	mu    sync.Mutex // of the two below
	in    requests.RequestBodyValidator
	out   responses.ResponseBodyValidator
}

// contracts are those of the documents seen so far: most gateways of the tests have the same.
var contracts = struct {
	sync.Mutex
	of map[string]*contract
}{of: map[string]*contract{}}

func contractOf(t testing.TB, g http.Handler) *contract {
	t.Helper()
	answer := httptest.NewRecorder()
	g.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost/openapi.json", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("GET /openapi.json: %d %s", answer.Code, answer.Body)
	}
	contracts.Lock()
	defer contracts.Unlock()
	if c := contracts.of[answer.Body.String()]; c != nil {
		return c
	}
	c := newContract(t, closed(t, answer.Body.Bytes()))
	contracts.of[answer.Body.String()] = c
	return c
}

func newContract(t testing.TB, document []byte) *contract {
	t.Helper()
	read, err := libopenapi.NewDocument(document)
	if err != nil {
		t.Fatalf("document: %v", err)
	}
	model, err := read.BuildV3Model()
	if err != nil {
		t.Fatalf("model of the document: %v", err)
	}
	whole, errs := validator.NewValidator(read)
	if len(errs) > 0 {
		t.Fatalf("document: %v", errs)
	}
	return &contract{
		whole: whole, model: &model.Model,
		in: requests.NewRequestBodyValidator(&model.Model), out: responses.NewResponseBodyValidator(&model.Model),
	}
}

// closed forbids properties that a schema does not name: clients must put up with new ones, but today's code must not have
// any that the document does not know.
func closed(t testing.TB, document []byte) []byte {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(document, &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all["components"].(map[string]any)["schemas"].(map[string]any) {
		if s, ok := s.(map[string]any); ok && s["properties"] != nil && s["additionalProperties"] == nil {
			s["additionalProperties"] = false
		}
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// conform lets a handler answer and reports what its document does not say.
func conform(t *testing.T, g *gateway.Gateway) http.Handler {
	t.Helper()
	c := contractOf(t, g)
	var told sync.Map // a fault is told once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, path := gateway.RouteOf(g, r)
		sent, got := &copied{ReadCloser: r.Body}, &recorded{ResponseWriter: w}
		if r.Body != http.NoBody {
			r.Body = sent
		}
		g.ServeHTTP(got, r)
		if got.status == 0 && r.Context().Err() != nil {
			return // the caller has left
		}
		for _, fault := range c.check(method, path, r, sent.text.Bytes(), got) {
			if _, told := told.LoadOrStore(fault, true); told {
				continue
			}
			t.Errorf("%s %s is not as the document says: %s", r.Method, r.URL, fault)
		}
	})
}

// maxChecked bounds the bodies that are looked at.
const maxChecked = 256 << 10

// check returns what differs from the document.
func (c *contract) check(method, path string, r *http.Request, sent []byte, got *recorded) (faults []string) {
	if path == "" {
		if got.status < 300 && got.Header().Get("Access-Control-Allow-Methods") == "" { // what browsers ask first is no route
			return []string{"the table has no such route, and the answer is " + strconv.Itoa(got.status)}
		}
		return nil
	}
	item, ok := c.model.Paths.PathItems.Get(path)
	if !ok {
		return []string{"it has no path " + path}
	}
	operation, ok := item.GetOperations().Get(strings.ToLower(method))
	if !ok {
		return []string{"it has no " + method + " " + path}
	}
	if operation.Responses.Default != nil {
		return nil // another server may have answered, and nobody knows what it takes
	}
	response, ok := operation.Responses.Codes.Get(strconv.Itoa(got.code()))
	if !ok {
		return []string{"it has no answer " + strconv.Itoa(got.code()) + ": " + got.text.String()}
	}
	kind, _, _ := mime.ParseMediaType(got.Header().Get("Content-Type"))
	if got.size > 0 {
		if response.Content == nil {
			return []string{"its answer " + strconv.Itoa(got.code()) + " has no body"}
		}
		if _, ok := response.Content.Get(kind); !ok {
			return []string{"its answer " + strconv.Itoa(got.code()) + " has no type " + kind}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := r.Clone(r.Context())
	asked.Method = method
	if declared := mediaOf(response.Content, kind); strings.HasSuffix(kind, "json") && !anything(declared) && got.size > 0 && got.size <= maxChecked && r.Method != http.MethodHead {
		answer := &http.Response{StatusCode: got.code(), Header: got.Header(), Body: io.NopCloser(bytes.NewReader(got.text.Bytes()))}
		if ok, errs := c.out.ValidateResponseBodyWithPathItem(asked, answer, item, path); !ok {
			for _, err := range errs {
				faults = append(faults, err.Error()+" in "+got.text.String())
			}
		}
	}
	if got.code() >= http.StatusMultipleChoices || got.code() == http.StatusSwitchingProtocols {
		return faults // what was sent may be anything
	}
	names := map[string]bool{}
	for _, p := range operation.Parameters {
		if p.In == "query" {
			names[p.Name] = true
		}
	}
	for name := range r.URL.Query() {
		if !names[name] {
			faults = append(faults, "it has no query parameter "+name)
		}
	}
	if len(sent) == 0 || len(sent) > maxChecked {
		return faults
	}
	if operation.RequestBody == nil {
		return append(faults, "its call has no body")
	}
	if declared, ok := operation.RequestBody.Content.Get("application/json"); ok && !anything(declared) {
		if asked.Header.Get("Content-Type") == "" {
			asked.Header.Set("Content-Type", "application/json")
		}
		asked.Body = io.NopCloser(bytes.NewReader(sent))
		if ok, errs := c.in.ValidateRequestBodyWithPathItem(asked, item, path); !ok {
			for _, err := range errs {
				faults = append(faults, err.Error()+" in what was sent: "+string(sent))
			}
		}
	}
	return faults
}

func mediaOf(all *orderedmap.Map[string, *v3.MediaType], kind string) *v3.MediaType {
	if all == nil {
		return nil
	}
	m, _ := all.Get(kind)
	return m
}

// anything reports whether a body may be any JSON text. The library reads numbers as float64, which some texts do not fit.
func anything(m *v3.MediaType) bool {
	if m == nil || m.Schema == nil {
		return true
	}
	s := m.Schema.Schema()
	return s == nil || len(s.Type) == 0 && s.Properties == nil
}

// copied keeps what is read of a body.
type copied struct {
	io.ReadCloser

	text bytes.Buffer
}

func (c *copied) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.text.Write(p[:n])
	return n, err
}

// recorded keeps what is answered.
type recorded struct {
	http.ResponseWriter

	status int
	size   int
	text   bytes.Buffer
}

func (r *recorded) WriteHeader(status int) {
	if r.status < 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorded) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if r.size += len(p); r.size <= maxChecked {
		r.text.Write(p)
	}
	return r.ResponseWriter.Write(p)
}

func (r *recorded) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

func (r *recorded) Unwrap() http.ResponseWriter { return r.ResponseWriter }
