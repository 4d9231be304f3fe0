package events

import (
	"maps"
	"strings"
	"time"
)

// Attribute names of the CloudEvents 1.0 binary content mode on Pub/Sub. `ce-notbefore` is an extension of
// this bus.
const (
	attrID          = "ce-id"
	attrType        = "ce-type"
	attrSource      = "ce-source"
	attrTime        = "ce-time"
	attrSpecVersion = "ce-specversion"
	attrNotBefore   = "ce-notbefore"
	attrContentType = "Content-Type"
)

// reserved reports a name that the envelope itself uses, in any case, or that Pub/Sub keeps for Google.
func reserved(name string) bool {
	switch name = strings.ToLower(name); name {
	case attrID, attrType, attrSource, attrTime, attrSpecVersion, attrNotBefore, strings.ToLower(attrContentType):
		return true
	default:
		return strings.HasPrefix(name, "goog")
	}
}

// EncodeAttributes gives the attributes that carry m's envelope on a broker that has data, an ordering key
// and string attributes: CloudEvents binary mode, with m's own attributes beside. Data and Key are not in them.
func EncodeAttributes(m Message) map[string]string {
	attrs := make(map[string]string, len(m.Attributes)+7)
	maps.Copy(attrs, m.Attributes)
	attrs[attrSpecVersion] = "1.0"
	attrs[attrContentType] = "application/json"
	attrs[attrID] = m.ID
	attrs[attrType] = m.Type
	attrs[attrSource] = m.Source
	attrs[attrTime] = m.Time.UTC().Format(time.RFC3339Nano)
	if !m.NotBefore.IsZero() {
		attrs[attrNotBefore] = m.NotBefore.UTC().Format(time.RFC3339Nano)
	}
	return attrs
}

// DecodeAttributes is the inverse of [EncodeAttributes]. A message from a publisher that knows nothing of
// CloudEvents (gcloud, curl) gets the broker's id and publish time; Type and Source may then be empty. A time that
// does not parse counts as absent. The map is not kept.
func DecodeAttributes(attrs map[string]string, fallbackID string, published time.Time) Message {
	m := Message{
		ID:     attrs[attrID],
		Type:   attrs[attrType],
		Source: attrs[attrSource],
		Time:   published.UTC(),
	}
	if m.ID == "" {
		m.ID = fallbackID
	}
	if at, err := time.Parse(time.RFC3339Nano, attrs[attrTime]); err == nil {
		m.Time = at.UTC()
	}
	if at, err := time.Parse(time.RFC3339Nano, attrs[attrNotBefore]); err == nil {
		m.NotBefore = at.UTC()
	}
	for name, value := range attrs {
		if reserved(name) {
			continue
		}
		if m.Attributes == nil {
			m.Attributes = make(map[string]string, len(attrs))
		}
		m.Attributes[name] = value
	}
	return m
}
