package guest

import (
	"mime"
	"net/url"
	"path"
	"strings"
)

// contentTypes are those of the web. They do not depend on the machine's mime.types, which often lacks or
// misnames the newer ones. Source: the IANA registry and RFC 9239 (JavaScript).
var contentTypes = map[string]string{
	".avif":        "image/avif",
	".css":         "text/css; charset=utf-8",
	".csv":         "text/csv; charset=utf-8",
	".gif":         "image/gif",
	".htm":         "text/html; charset=utf-8",
	".html":        "text/html; charset=utf-8",
	".ico":         "image/x-icon",
	".jpeg":        "image/jpeg",
	".jpg":         "image/jpeg",
	".js":          "text/javascript; charset=utf-8",
	".json":        "application/json",
	".map":         "application/json",
	".md":          "text/markdown; charset=utf-8",
	".mjs":         "text/javascript; charset=utf-8",
	".mp3":         "audio/mpeg",
	".mp4":         "video/mp4",
	".ogg":         "audio/ogg",
	".otf":         "font/otf",
	".pdf":         "application/pdf",
	".png":         "image/png",
	".svg":         "image/svg+xml",
	".ttf":         "font/ttf",
	".txt":         "text/plain; charset=utf-8",
	".wasm":        "application/wasm",
	".webm":        "video/webm",
	".webmanifest": "application/manifest+json",
	".webp":        "image/webp",
	".woff":        "font/woff",
	".woff2":       "font/woff2",
	".xml":         "text/xml; charset=utf-8",
}

// contentType returns the type for a file's name, or "" to let the content tell.
func contentType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if kind, ok := contentTypes[ext]; ok {
		return kind
	}
	return mime.TypeByExtension(ext)
}

func escapeSegment(s string) string { return url.PathEscape(s) }
