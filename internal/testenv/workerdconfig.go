package testenv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// wrangler is what tests need of a wrangler.jsonc.
type wrangler struct {
	Main               string            `json:"main"`
	CompatibilityDate  string            `json:"compatibility_date"`
	CompatibilityFlags []string          `json:"compatibility_flags"`
	Vars               map[string]string `json:"vars"`
	DurableObjects     struct {
		Bindings []struct {
			Name      string `json:"name"`
			ClassName string `json:"class_name"`
		} `json:"bindings"`
	} `json:"durable_objects"`
}

// readWrangler reads a file whose comments are whole lines.
func readWrangler(path string) (config wrangler, err error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return config, err
	}
	var text bytes.Buffer
	for line := range bytes.Lines(body) {
		if !bytes.HasPrefix(bytes.TrimSpace(line), []byte("//")) {
			text.Write(line)
		}
	}
	if err := json.Unmarshal(text.Bytes(), &config); err != nil {
		return config, fmt.Errorf("%s: %w", path, err)
	}
	return config, nil
}

// dispatcher is what DISPATCHER is here: the Workers of a namespace, of which one that is unknown fails when it is called.
const dispatcher = `export default (env) => ({
  get: (name) => env[name] ?? { fetch() { throw new Error("Worker not found."); } },
});
`

// email is what the runtime's own module for mail imports, and only Cloudflare has. The agents SDK imports that module.
const email = "export default { EmailMessage: class EmailMessage {} };\n"

// configure writes what workerd serves to dir. Port 0 is any.
func (t *workerdTools) configure(dir string, spec WorkerSpec, port int) error {
	files := map[string][]byte{"dispatcher.js": []byte(dispatcher), "email.js": []byte(email)}
	script, err := t.build(spec.Entry)
	if err != nil {
		return err
	}
	files["main.js"] = script

	// Everything that is written into the configuration is quoted, or a name made here.
	services := []string{
		`(name = "main", worker = .main)`,
		fmt.Sprintf(`(name = "disk", disk = (path = %s, writable = true))`, quote(filepath.Join(dir, "data"))),
	}
	var workers, bindings, namespaces, inner []string
	for i, name := range slices.Sorted(maps.Keys(spec.Dispatch)) {
		if files[fmt.Sprintf("tenant%d.js", i)], err = t.build(spec.Dispatch[name]); err != nil {
			return err
		}
		services = append(services, fmt.Sprintf(`(name = "tenant%d", worker = .tenant%d)`, i, i))
		inner = append(inner, fmt.Sprintf(`(name = %s, service = "tenant%d")`, quote(name), i))
		workers = append(workers, fmt.Sprintf("const tenant%d :Workerd.Worker = (modules = [(name = \"main\", esModule = embed \"tenant%d.js\")], %s);\n",
			i, i, t.compatibility()))
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Vars)) {
		bindings = append(bindings, fmt.Sprintf(`(name = %s, text = %s)`, quote(name), quote(spec.Vars[name])))
	}
	classes := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(spec.Objects)) {
		class := quote(spec.Objects[name])
		bindings = append(bindings, fmt.Sprintf(`(name = %s, durableObjectNamespace = %s)`, quote(name), class))
		if !classes[class] {
			namespaces = append(namespaces, fmt.Sprintf(`(className = %s, uniqueKey = %s, enableSql = true)`, class, class))
		}
		classes[class] = true
	}
	if spec.Dispatch != nil {
		bindings = append(bindings, fmt.Sprintf(`(name = "DISPATCHER", wrapped = (moduleName = "testenv:dispatcher", innerBindings = [%s]))`,
			strings.Join(inner, ", ")))
	}
	files["config.capnp"] = fmt.Appendf(nil, `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [%s],
  sockets = [(name = "http", address = "127.0.0.1:%d", http = (), service = "main")],
  extensions = [(modules = [
    (name = "testenv:dispatcher", internal = true, esModule = embed "dispatcher.js"),
    (name = "cloudflare-internal:email", internal = true, esModule = embed "email.js")
  ])]
);

const main :Workerd.Worker = (
  modules = [(name = "main", esModule = embed "main.js")],
  %s,
  bindings = [%s],
  durableObjectNamespaces = [%s],
  durableObjectStorage = (localDisk = "disk")
);

%s`, strings.Join(services, ", "), port, t.compatibility(), strings.Join(bindings, ", "), strings.Join(namespaces, ", "), strings.Join(workers, "\n"))

	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (t *workerdTools) compatibility() string {
	flags := make([]string, len(t.wrangler.CompatibilityFlags))
	for i, flag := range t.wrangler.CompatibilityFlags {
		flags[i] = quote(flag)
	}
	return fmt.Sprintf(`compatibilityDate = %s, compatibilityFlags = [%s]`, quote(t.wrangler.CompatibilityDate), strings.Join(flags, ", "))
}

// quote writes a text as the configuration's language has it: like C, with other bytes in hexadecimal.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
