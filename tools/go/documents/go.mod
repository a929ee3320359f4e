module supply-action/tools/documents

go 1.26

tool supply-action/tools/documents

require (
	github.com/google/go-containerregistry v0.22.1
	github.com/opencontainers/image-spec v1.1.1
)

require github.com/opencontainers/go-digest v1.0.0 // indirect
