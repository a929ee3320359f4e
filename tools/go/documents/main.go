// Reads documents of images as Go's programs do, and prints what they read: the judge of src/oci, by go-containerregistry (crane, cosign, ko) and by
// the types of the specification (containerd, BuildKit, oras). It judges nothing itself and fetches nothing.
//
// Each line of standard input is a kind (`index`, `image` or `config`) and a document in base64; each line of the output an object with
// what `ggcr` and `spec` read, or null where it refuses.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
)

type object = map[string]any

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		kind, text, _ := strings.Cut(lines.Text(), " ")
		document, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		line, err := json.Marshal(object{"ggcr": ggcr(kind, document), "spec": bySpec(kind, document)})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintln(out, string(line))
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ggcr(kind string, document []byte) any {
	descriptor := func(d v1.Descriptor) object {
		var platform any
		if p := d.Platform; p != nil {
			platform = described(p.OS, p.Architecture, p.Variant, p.OSVersion, p.OSFeatures)
		}
		return pointer(string(d.MediaType), d.Digest.String(), d.Size, d.ArtifactType, d.URLs, d.Annotations, platform)
	}
	optional := func(d *v1.Descriptor) any {
		if d == nil {
			return nil
		}
		return descriptor(*d)
	}
	switch kind {
	case "index":
		index, err := v1.ParseIndexManifest(bytes.NewReader(document))
		if err != nil {
			return nil
		}
		return object{"manifests": each(index.Manifests, descriptor), "subject": optional(index.Subject), "annotations": texts(index.Annotations)}
	case "image":
		image, err := v1.ParseManifest(bytes.NewReader(document))
		if err != nil {
			return nil
		}
		return object{
			"config": descriptor(image.Config), "layers": each(image.Layers, descriptor), "subject": optional(image.Subject),
			"annotations": texts(image.Annotations),
		}
	default:
		config, err := v1.ParseConfigFile(bytes.NewReader(document))
		if err != nil {
			return nil
		}
		ids := each(config.RootFS.DiffIDs, func(id v1.Hash) string { return id.String() })
		platform := described(config.OS, config.Architecture, config.Variant, config.OSVersion, config.OSFeatures)
		return object{"platform": platform, "diff_ids": ids, "labels": texts(config.Config.Labels)}
	}
}

func bySpec(kind string, document []byte) any {
	descriptor := func(d spec.Descriptor) object {
		var platform any
		if p := d.Platform; p != nil {
			platform = described(p.OS, p.Architecture, p.Variant, p.OSVersion, p.OSFeatures)
		}
		return pointer(d.MediaType, string(d.Digest), d.Size, d.ArtifactType, d.URLs, d.Annotations, platform)
	}
	optional := func(d *spec.Descriptor) any {
		if d == nil {
			return nil
		}
		return descriptor(*d)
	}
	switch kind {
	case "index":
		var index spec.Index
		if json.Unmarshal(document, &index) != nil {
			return nil
		}
		return object{"manifests": each(index.Manifests, descriptor), "subject": optional(index.Subject), "annotations": texts(index.Annotations)}
	case "image":
		var image spec.Manifest
		if json.Unmarshal(document, &image) != nil {
			return nil
		}
		return object{
			"config": descriptor(image.Config), "layers": each(image.Layers, descriptor), "subject": optional(image.Subject),
			"annotations": texts(image.Annotations),
		}
	default:
		var image spec.Image
		if json.Unmarshal(document, &image) != nil {
			return nil
		}
		ids := []string{}
		for _, id := range image.RootFS.DiffIDs {
			ids = append(ids, string(id))
		}
		platform := described(image.OS, image.Architecture, image.Variant, image.OSVersion, image.OSFeatures)
		return object{"platform": platform, "diff_ids": ids, "labels": texts(image.Config.Labels)}
	}
}

func pointer(mediaType, digest string, size int64, artifactType string, urls []string, annotations map[string]string, platform any) object {
	return object{
		"mediaType": mediaType, "digest": digest, "size": size, "artifactType": artifactType, "urls": list(urls),
		"annotations": texts(annotations), "platform": platform,
	}
}

func described(os, architecture, variant, version string, features []string) object {
	return object{"os": os, "architecture": architecture, "variant": variant, "os.version": version, "os.features": list(features)}
}

// Nothing and none are one.
func list(values []string) []string { return append([]string{}, values...) }

func texts(values map[string]string) map[string]string {
	if values == nil {
		return map[string]string{}
	}
	return values
}

func each[From, To any](values []From, what func(From) To) []To {
	made := []To{}
	for _, value := range values {
		made = append(made, what(value))
	}
	return made
}
