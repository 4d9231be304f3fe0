package app_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// site is a project whose build writes its page into dist.
func site(t testing.TB, page string) object {
	request := nodeApp(t)
	request["files"] = append(request["files"].([]object)[1:],
		object{"filePath": "package.json", "fileContents": `{"scripts":{"dev":"node server.js","build":"node build.js"}}`},
		object{"filePath": "build.js", "fileContents": `fs=require('fs'); fs.mkdirSync('dist/client/assets',{recursive:true}); fs.copyFileSync('page.txt','dist/client/index.html'); fs.writeFileSync('dist/client/assets/a.bin',Buffer.from([0,255,1]))`},
		object{"filePath": "page.txt", "fileContents": page},
	)
	return request
}

func (w *world) deploy(t testing.TB, id string) (address string) {
	t.Helper()
	deployed := w.good(t, "POST", "/instances/"+id+"/deploy", nil, "message", "deployedUrl", "deploymentId")
	address = deployed["deployedUrl"].(string)
	if !strings.HasPrefix(address, "http://"+deployed["deploymentId"].(string)+".localhost:") {
		t.Errorf("deployed %v", deployed)
	}
	return address
}

func TestRunnerDeploysForGood(t *testing.T) {
	t.Parallel()
	w := start(t, config(t))
	id, _ := w.create(t, site(t, "first"))
	address := w.deploy(t, id)
	if !strings.HasPrefix(address, "http://demo-project.localhost:") {
		t.Errorf("deployed to %s", address)
	}
	page := func(want string) {
		t.Helper()
		if code, header, body := w.get(t, address, "/"); code != http.StatusOK || body != want || header.Get("X-Preview-Type") != "dispatcher" {
			t.Errorf("app answers %d %q %v, want %q", code, body, header, want)
		}
	}
	page("first")
	if _, _, body := w.get(t, address, "/assets/a.bin"); body != "\x00\xff\x01" {
		t.Errorf("a file that is not text is %q", body)
	}
	if list := w.good(t, "GET", "/instances", nil); list["count"] != 1.0 {
		t.Errorf("a deployment is listed as instance: %v", list)
	}

	// A deployment that replaces it never leaves the host without an answer.
	w.write(t, id, "", "page.txt", "second")
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if code, _, body := w.get(t, address, "/"); code != http.StatusOK || body != "first" && body != "second" {
				t.Errorf("while it is replaced the app answers %d %q", code, body)
				return
			}
		}
	})
	if again := w.deploy(t, id); again != address {
		t.Errorf("deployed again to %s", again)
	}
	page("second")
	for _, s := range w.deployments(t, "demo-project") {
		if s.State == "ready" {
			continue
		}
		t.Errorf("the deployment before is %s too early", s.State)
	}
	close(done)
	wg.Wait()

	// Neither a build that fails nor the end of the instance changes what is deployed.
	w.write(t, id, "", "build.js", "console.log('told why'); process.exit(3)")
	w.bad(t, "POST", "/instances/"+id+"/deploy", nil, "told why")
	w.write(t, id, "", "build.js", "require('fs').rmSync('dist',{recursive:true})")
	w.bad(t, "POST", "/instances/"+id+"/deploy", nil, "index.html")
	w.good(t, "POST", "/instances/"+id+"/name", object{"projectName": "_._"})
	w.bad(t, "POST", "/instances/"+id+"/deploy", nil, "rename it")
	w.good(t, "POST", "/instances/"+id+"/name", object{"projectName": "Shop_1-"})
	w.write(t, id, "", "dist/index.html", "third", "build.js", "")
	if other := w.deploy(t, id); !strings.HasPrefix(other, "http://shop-1.localhost") {
		t.Errorf("deployed to %s", other)
	}
	w.good(t, "DELETE", "/instances/"+id, nil)
	w.gone(t, id)
	page("second")
	w.bad(t, "POST", "/instances/"+id+"/deploy", nil, "Network connection lost")

	for _, s := range w.deployments(t, "demo-project") {
		w.end(t, s.ID)
	}
	if code, _, body := w.get(t, address, "/"); code != http.StatusNotFound {
		t.Errorf("after its end the app answers %d %q", code, body)
	}
}

// TestRunnerViteAppFromEndToEnd takes a real project through its life.
func TestRunnerViteAppFromEndToEnd(t *testing.T) {
	t.Parallel()
	c := config(t)
	npmEnvironment(t, c.SandboxEnv)
	w := start(t, c)
	request := object{"projectName": "vite-app", "initCommand": "bun run dev", "envVars": object{}, "files": []object{
		{"filePath": "package.json", "fileContents": `{"name":"v","private":true,"type":"module","scripts":{"dev":"vite --host 127.0.0.1 --port ${PORT:-3000}","build":"vite build"},"devDependencies":{"vite":"^7"}}`},
		{"filePath": "index.html", "fileContents": `<script type="module" src="/main.js"></script>`},
		{"filePath": "main.js", "fileContents": "document.title = 'before'\n"},
	}}
	status, made := w.call(t, "POST", "/instances", request)
	if why, _ := made["error"].(string); status != http.StatusOK {
		for _, offline := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "E403", "E404", "ETARGET"} {
			if strings.Contains(why, offline) {
				t.Skipf("the npm registry does not give us vite: %s", offline)
			}
		}
		t.Fatalf("create: %d %v", status, made)
	}
	id, preview := made["runId"].(string), made["previewURL"].(string)
	if code, _, body := w.get(t, preview, "/"); code != http.StatusOK || !strings.Contains(body, "/@vite/client") {
		t.Errorf("page: %d %s", code, body)
	}
	w.write(t, id, "change", "main.js", "document.title = 'after'\n")
	if _, _, body := w.get(t, preview, "/main.js?t=1"); !strings.Contains(body, "after") {
		t.Errorf("module: %s", body)
	}
	address := w.deploy(t, id)
	if code, _, body := w.get(t, address, "/"); code != http.StatusOK || !strings.Contains(body, "/assets/index-") {
		t.Errorf("deployed page: %d %s", code, body)
	}
	w.good(t, "DELETE", "/instances/"+id, nil)
	w.gone(t, id)
	if code, _, _ := w.get(t, address, "/"); code != http.StatusOK {
		t.Errorf("the deployment ended with the instance: %d", code)
	}
}
