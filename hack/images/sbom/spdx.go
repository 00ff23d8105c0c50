package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
)

// Document is the part of an SPDX document that is used here.
type Document struct {
	SPDXVersion       string         `json:"spdxVersion"`
	DataLicense       string         `json:"dataLicense"`
	SPDXID            string         `json:"SPDXID"`
	Name              string         `json:"name"`
	DocumentNamespace string         `json:"documentNamespace"`
	CreationInfo      CreationInfo   `json:"creationInfo"`
	Packages          []Package      `json:"packages"`
	Relationships     []Relationship `json:"relationships"`
}

// CreationInfo says when and by what a document was made.
type CreationInfo struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

// Package is the binary, or a module in it.
type Package struct {
	SPDXID           string        `json:"SPDXID"`
	Name             string        `json:"name"`
	VersionInfo      string        `json:"versionInfo,omitempty"`
	DownloadLocation string        `json:"downloadLocation"`
	FilesAnalyzed    bool          `json:"filesAnalyzed"`
	SourceInfo       string        `json:"sourceInfo,omitempty"`
	LicenseConcluded string        `json:"licenseConcluded"`
	LicenseDeclared  string        `json:"licenseDeclared"`
	CopyrightText    string        `json:"copyrightText"`
	Checksums        []Checksum    `json:"checksums,omitempty"`
	ExternalRefs     []ExternalRef `json:"externalRefs,omitempty"`
}

// Checksum of a package's file.
type Checksum struct {
	Algorithm     string `json:"algorithm"`
	ChecksumValue string `json:"checksumValue"`
}

// ExternalRef is a package URL: https://github.com/package-url/purl-spec
type ExternalRef struct {
	ReferenceCategory string `json:"referenceCategory"`
	ReferenceType     string `json:"referenceType"`
	ReferenceLocator  string `json:"referenceLocator"`
}

// Relationship between two packages, or the document and one.
type Relationship struct {
	SPDXElementID      string `json:"spdxElementId"`
	RelationshipType   string `json:"relationshipType"`
	RelatedSPDXElement string `json:"relatedSpdxElement"`
}

// noAssertion is SPDX's word for what nobody has looked at.
const noAssertion = "NOASSERTION"

// Encode returns the document of a binary, its version and its build information.
func Encode(name, version string, binary []byte, info *debug.BuildInfo, created time.Time) ([]byte, error) {
	content, err := json.MarshalIndent(describe(name, version, binary, info, created), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("SBOM of %s: %w", name, err)
	}
	return append(content, '\n'), nil
}

func describe(name, version string, binary []byte, info *debug.BuildInfo, created time.Time) Document {
	sum := sha256.Sum256(binary)
	hash := hex.EncodeToString(sum[:])
	program := newPackage("SPDXRef-Binary-"+id(name), info.Main.Path+"/"+name, version, "")
	program.LicenseDeclared = "Apache-2.0"
	program.Checksums = []Checksum{{Algorithm: "SHA256", ChecksumValue: hash}}
	program.ExternalRefs = purl(info.Main.Path, version)

	document := Document{
		SPDXVersion:       "SPDX-2.3",
		DataLicense:       "CC0-1.0",
		SPDXID:            "SPDXRef-DOCUMENT",
		Name:              name,
		DocumentNamespace: "https://" + info.Main.Path + "/spdx/" + name + "/" + hash,
		CreationInfo: CreationInfo{
			Created:  created.UTC().Format(time.RFC3339),
			Creators: []string{"Tool: flotilla-hack-images"},
		},
		Packages:      []Package{program},
		Relationships: []Relationship{{"SPDXRef-DOCUMENT", "DESCRIBES", program.SPDXID}},
	}
	for _, p := range modules(info) {
		document.Packages = append(document.Packages, p)
		document.Relationships = append(document.Relationships, Relationship{program.SPDXID, "DEPENDS_ON", p.SPDXID})
	}
	return document
}

// modules are the standard library and every module that is linked, in the
// linker's order, which is that of their paths.
func modules(info *debug.BuildInfo) []Package {
	standard := strings.TrimPrefix(info.GoVersion, "go")
	stdlib := newPackage("SPDXRef-Module-stdlib", "stdlib", standard, "")
	stdlib.ExternalRefs = purl("stdlib", standard)
	all := []Package{stdlib}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		p := newPackage("SPDXRef-Module-"+id(module.Path+"-"+module.Version), module.Path, module.Version, module.Sum)
		p.ExternalRefs = purl(module.Path, module.Version)
		all = append(all, p)
	}
	return all
}

func newPackage(id, name, version, sum string) Package {
	p := Package{
		SPDXID:           id,
		Name:             name,
		VersionInfo:      version,
		DownloadLocation: noAssertion,
		LicenseConcluded: noAssertion,
		LicenseDeclared:  noAssertion,
		CopyrightText:    noAssertion,
	}
	if sum != "" {
		p.SourceInfo = "go.sum: " + sum
	}
	return p
}

func purl(path, version string) []ExternalRef {
	return []ExternalRef{{
		ReferenceCategory: "PACKAGE-MANAGER",
		ReferenceType:     "purl",
		ReferenceLocator:  "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B"),
	}}
}

var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]`)

// id is text as an SPDX identifier may have it. Two modules that differ in
// nothing but other characters do not occur.
func id(text string) string { return notInID.ReplaceAllString(text, "-") }
