package ratelimit

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"
)

// OnFailure says what a limit answers while its backend is down.
type OnFailure string

// The policies.
const (
	// Open lets the guard of this process decide. It is the default.
	Open OnFailure = "open"
	// Closed rejects with ErrUnavailable.
	Closed OnFailure = "closed"
)

// Limit is a [Config] with what to do in an outage.
type Limit struct {
	Config    `yaml:",inline"`
	OnFailure OnFailure `json:"onFailure,omitempty" yaml:"onFailure,omitempty"`
}

// Names of the limits that the presets have.
const (
	APIRateLimit  = "apiRateLimit"
	AuthRateLimit = "authRateLimit"
	AppCreation   = "appCreation"
	LLMCalls      = "llmCalls"
	PublicApps    = "publicApps"
	SpacePreview  = "spacePreview"
)

// PresetS returns the limits of VibeSDK in October 2025, PresetH those of August 2026. The maps are the caller's.
func PresetS() map[string]Limit {
	return map[string]Limit{
		APIRateLimit:  {Config: Config{Limit: 10_000, Period: 60}},
		AuthRateLimit: {Config: Config{Limit: 1000, Period: 60}},
		AppCreation:   {Config: Config{Limit: 10, Period: 4 * 3600, DailyLimit: new(10.0)}},
		LLMCalls:      {Config: Config{Limit: 400, Period: 3600, DailyLimit: new(1000.0)}},
	}
}

// PresetH is described at [PresetS].
func PresetH() map[string]Limit {
	return map[string]Limit{
		APIRateLimit:  {Config: Config{Limit: 10_000, Period: 60}},
		AuthRateLimit: {Config: Config{Limit: 1000, Period: 60}},
		AppCreation:   {Config: Config{Limit: 3, Period: 24 * 3600, DailyLimit: new(3.0)}},
		LLMCalls:      {Config: Config{Limit: 200, Period: 24 * 3600, CalendarDaily: true}},
		PublicApps:    {Config: Config{Limit: 120, Period: 60, Burst: 40, BurstWindow: new(10.0)}},
		SpacePreview:  {Config: Config{Limit: 600, Period: 60, Burst: 120, BurstWindow: new(10.0)}},
	}
}

// maxLimitsFile bounds an override file, in bytes.
const maxLimitsFile = 1 << 20

var limitName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// Override reads a YAML or JSON map from names to limits and returns base with these put in. A limit of the file replaces
// the one of base whole. ErrInvalid names the limit and the field; unknown fields are errors.
func Override(base map[string]Limit, file []byte) (map[string]Limit, error) {
	if len(file) > maxLimitsFile {
		return nil, fmt.Errorf("%w: the file of limits is longer than %d bytes", ErrInvalid, maxLimitsFile)
	}
	var given map[string]Limit
	if err := yaml.UnmarshalWithOptions(file, &given, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%w: the file of limits: %s", ErrInvalid, yaml.FormatError(err, false, false))
	}
	merged := maps.Clone(base)
	if merged == nil {
		merged = map[string]Limit{}
	}
	maps.Copy(merged, given)
	if _, err := rules(merged); err != nil {
		return nil, err
	}
	return merged, nil
}

// NameRule says what the name of a limit must be.
const NameRule = "must be a letter and at most 63 letters, digits, hyphens and underscores"

// ValidName reports whether a limit can have this name.
func ValidName(name string) bool { return limitName.MatchString(name) }

var errLimitName = fmt.Errorf("%w: name of a limit %s", ErrInvalid, NameRule)

// named is a limit ready for use.
type named struct {
	rule Rule
	open bool
}

// rules checks all limits.
func rules(limits map[string]Limit) (map[string]named, error) {
	checked := make(map[string]named, len(limits))
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		limit := limits[name]
		if !ValidName(name) {
			return nil, errLimitName
		}
		rule, err := limit.Rule()
		if err != nil {
			return nil, fmt.Errorf("limit %s: %w", name, err)
		}
		switch limit.OnFailure {
		case "", Open, Closed:
		default:
			return nil, fmt.Errorf("limit %s: %w: onFailure must be %s or %s", name, ErrInvalid, Open, Closed)
		}
		checked[name] = named{rule: rule, open: limit.OnFailure != Closed}
	}
	return checked, nil
}
