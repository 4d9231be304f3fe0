package session

import (
	"errors"
	"fmt"

	"vibesdk-gcp/internal/jsondoc"
)

// rule is what a part must be.
type rule struct {
	// first is the first byte of its JSON value, 0 for any.
	first byte
	// direct is set when Put, Merge, Patch and Append may change it.
	direct bool
	// begins is what Append makes of a missing one, empty when it must not be missing.
	begins string
}

var partRules = map[PartName]rule{
	PartState:                {direct: true},
	PartFullConversations:    {direct: true, first: '[', begins: "[]"},
	PartCompactConversations: {direct: true, first: '[', begins: "[]"},
	PartMCPServers:           {direct: true, first: '{'},
	PartJobs:                 {first: '['},
	PartTables:               {first: '{'},
}

var kindNames = map[byte]string{'[': "an array", '{': "an object"}

func (r rule) check(name PartName, first byte) error {
	if r.first != 0 && r.first != first {
		return fmt.Errorf("%w: part %s must be %s", ErrInvalid, name, kindNames[r.first])
	}
	return nil
}

// document is a part in the making: a [jsondoc.Doc] or a [jobList].
type document interface {
	Len() int
	Bytes() []byte
	Commit()
	Rollback()
}

// part is a part of the batch. Its document is nil until something looks into it.
type part struct {
	was Part
	doc document
}

func (p *part) len() int {
	if p.doc == nil {
		return len(p.was.Data)
	}
	return p.doc.Len()
}

// json is the part taken apart for the changes that all JSON knows.
func (p *part) json(name PartName) (*jsondoc.Doc, error) {
	if p.doc == nil {
		doc, err := jsondoc.New(p.was.Data)
		if err != nil {
			return nil, rejected("stored part "+string(name), err)
		}
		p.doc = doc
	}
	doc, ok := p.doc.(*jsondoc.Doc)
	if !ok {
		return nil, fmt.Errorf("%w: part %s is changed by job mutations only", ErrInvalid, name)
	}
	return doc, nil
}

// rejected translates an error of jsondoc. what is the field that it is about.
func rejected(what string, err error) error {
	kind := ErrInvalid
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsondoc.ErrNotFound):
		kind = ErrNotFound
	case errors.Is(err, jsondoc.ErrWork):
		kind = ErrTooLarge
	}
	return fmt.Errorf("%w: %s: %w", kind, what, err)
}
