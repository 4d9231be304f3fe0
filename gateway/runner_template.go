package gateway

import "regexp"

// plainName is a project's name that can stand in a package's file and in a command as it is.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// nameTemplate is a command that gives a project that was made from a template its own name, in package.json and in the configuration
// of its Worker; files that a caller sent have it already. A name that cannot be one there is left aside.
func nameTemplate(asked instanceRequest) string {
	if asked.TemplateName == "" || !plainName.MatchString(asked.ProjectName) {
		return ""
	}
	return `for file in package.json wrangler.jsonc; do if [ -f "$file" ]; then ` +
		`awk '!done && sub(/"name"[ \t]*:[ \t]*"[^"]*"/, "\"name\": \"` + asked.ProjectName + `\"") { done = 1 } { print }' "$file" > "$file.named" && mv "$file.named" "$file"; ` +
		"fi; done\n"
}
