package console

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"vibesdk-gcp/gateway/auth"
	"vibesdk-gcp/gateway/client"
)

// shell is what every page has.
type shell struct {
	Title string
	// Section is the path of the entry of the menu that the page belongs to.
	Section string
	Menu    []entry
	// Caller is who is signed in; empty on a server that asks nobody.
	Caller string
	// Bare pages have no menu.
	Bare bool
	// Notice says what was done.
	Notice string
	// Provider is the one that the page is about, empty for the first, and Providers those that it may be about. ProviderHint says why there
	// is no choice.
	Provider     string
	Providers    []providerChoice
	ProviderHint string
	// Now is when the page was made.
	Now time.Time
	// Every is how often, in seconds, a page in view is looked at again; 0 is never.
	Every int
	Data  any
}

// entry is one of the menu.
type entry struct {
	Path, Name string
	Current    bool
}

// sections are the menu, each with the scope that it needs.
var sections = []struct {
	path, name string
	scope      auth.Scope
}{
	{"/", "Overview", anyone},
	{"/sandboxes", "Sandboxes", auth.SandboxesRead},
	{"/sessions", "Sessions", auth.SessionsRead},
	{"/dead-letters", "Dead letters", auth.DeadLettersRead},
	{"/limits", "Limits", auth.LimitsRead},
	{"/deployments", "Deployments", auth.DeploymentsRead},
	{"/schedules", "Schedules", auth.MetricsRead},
}

// has reports whether the server has a section.
func (c *Console) has(section string) bool {
	switch section {
	case "/dead-letters":
		return c.o.DeadLetters
	case "/deployments":
		return c.o.Deployments
	case "/schedules":
		return c.o.Schedules != nil
	default:
		return true
	}
}

// notices are what a page may say was done. They are chosen by name, so that a link cannot put words into the console.
var notices = map[string]string{
	"stopping":  "The sandbox was asked to stop.",
	"saved":     "The payload was saved. It has not been published yet.",
	"replayed":  "The message was published again.",
	"parked":    "The letter was set aside.",
	"released":  "The letter can be replayed again.",
	"purged":    "The letter is gone for good.",
	"reset":     "What was charged is forgotten.",
	"deployed":  "The app was changed.",
	"published": "The message was published.",
	"paused":    "The schedule is paused.",
	"resumed":   "The schedule runs again.",
}

// show answers with a page of a section.
func (v *visit) show(section, name, title string, data any) error {
	return v.showAs(http.StatusOK, name, shell{Section: section, Title: title, Data: data})
}

func (v *visit) showAs(status int, name string, s shell) error {
	s.Caller, s.Notice = v.caller.Name, notices[v.r.URL.Query().Get("done")]
	for _, section := range sections {
		if v.may(section.scope) && v.c.has(section.path) {
			s.Menu = append(s.Menu, entry{Prefix + section.path, section.name, section.path == s.Section})
		}
	}
	s.providers(v)
	v.c.render(v.w, v.r, status, name, s)
	return nil
}

// done sends the person on to a page that says what was done, so that reloading it does nothing again.
func (v *visit) done(notice string, segments ...string) error {
	address := Prefix
	for _, segment := range segments {
		address += "/" + url.PathEscape(segment)
	}
	query := url.Values{"done": {notice}}
	if v.provider != "" {
		query.Set(providerQuery, v.provider)
	}
	http.Redirect(v.w, v.r, address+"?"+query.Encode(), http.StatusSeeOther)
	return nil
}

// pageError is an error that the console itself made, with its status.
type pageError struct {
	status        int
	title, detail string
}

// Error implements error.
func (e *pageError) Error() string { return strings.TrimSpace(e.title + " " + e.detail) }

// problem is what a page says of an error: the console's own, and the API's.
func problem(err error) *pageError {
	if own, ok := errors.AsType[*pageError](err); ok {
		return own
	}
	if answer, ok := errors.AsType[*client.Error](err); ok && answer.Status >= http.StatusBadRequest {
		return &pageError{answer.Status, http.StatusText(answer.Status), answer.Error()}
	}
	return &pageError{http.StatusInternalServerError, "Something went wrong", "The log of the server says why."}
}

func (v *visit) fail(err error) {
	if v.r.Context().Err() != nil {
		return // nobody is listening
	}
	p := problem(err)
	_ = v.showAs(p.status, "error", shell{Title: p.title, Data: p.detail}) // it has no error
}

// fail answers somebody of whom nothing is known.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problem(err)
	c.render(w, r, p.status, "error", shell{Title: p.title, Bare: true, Data: p.detail})
}

// Largest forms in bytes. Payloads are written with escapes, three bytes for one at worst.
const (
	smallForm = 64 << 10
	largeForm = 4 * maxEdit
)

func parseForm(w http.ResponseWriter, r *http.Request, limit int64) error {
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if err := r.ParseForm(); err != nil {
		if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return &pageError{http.StatusRequestEntityTooLarge, "The form is too large", fmt.Sprintf("The limit is %d bytes.", large.Limit)}
		}
		return &pageError{http.StatusBadRequest, "The form cannot be read", "It is not what this page sends."}
	}
	return nil
}

// templates are the pages by name, each with the shell around it.
var templates = sync.OnceValue(func() map[string]*template.Template {
	base := template.Must(template.New("").Funcs(functions).ParseFS(files, "templates/shell.html", "templates/parts.html"))
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		pages[strings.TrimSuffix(path.Base(name), ".html")] = template.Must(template.Must(base.Clone()).ParseFS(files, name))
	}
	return pages
})

// render writes a page, or nothing of it.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, name string, s shell) {
	var out bytes.Buffer
	s.Now = c.o.Now()
	if err := templates()[name].ExecuteTemplate(&out, "shell", s); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(out.Bytes())
	}
}

// asset answers with a file that is built in.
func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	name := r.PathValue("name")
	body, err := files.ReadFile("assets/" + path.Base(name))
	kind := kinds[path.Ext(name)]
	if err != nil || kind == "" {
		http.NotFound(w, r)
		return
	}
	tag := assetTag(body)
	w.Header().Set("Content-Type", kind)
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache") // it is asked for again, and seldom sent
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write(body) //nolint:gosec // the files are ours
}
