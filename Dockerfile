# The action's image: one static program, buildx and CA certificates; no shell, no package manager.
# Every source can be replaced, so that it builds where Docker Hub is not: RUST_IMAGE, GO_IMAGE and CA_IMAGE (whose CA certificates are
# taken) by --build-arg, and a program that was built before by --build-context program=DIR (holding supply-action and buildx).
# Base images are pinned by version here; a release is built of those that tools/base-images pins by digest, which stand in its commit.
ARG RUST_IMAGE=rust:1.95.0-bookworm
ARG GO_IMAGE=golang:1.26.3-bookworm
ARG CA_IMAGE=${GO_IMAGE}

FROM ${RUST_IMAGE} AS supply-action
RUN apt-get update && apt-get install -y --no-install-recommends musl-tools && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# As in the Makefile: a static program needs musl's compiler for its C parts.
ENV CC_x86_64_unknown_linux_musl=musl-gcc CC_aarch64_unknown_linux_musl=musl-gcc
COPY Cargo.toml Cargo.lock ./
COPY src src
RUN target="$(uname -m)-unknown-linux-musl" && rustup target add "$target" \
 && cargo build --locked --release --bin supply-action --target "$target" \
 && mkdir /out && cp "target/$target/release/supply-action" /out/

FROM ${GO_IMAGE} AS buildx
WORKDIR /src
COPY tools/go/buildx .
# Version and hash of every module are pinned in go.mod and go.sum.
RUN version="$(sed -n 's#.*github.com/docker/buildx \(v[^ ]*\).*#\1#p' go.mod)" \
 && mkdir /out && CGO_ENABLED=0 GOFLAGS=-mod=readonly GOTOOLCHAIN=local go build -trimpath \
      -ldflags "-s -w -X github.com/docker/buildx/version.Version=$version" -o /out/buildx github.com/docker/buildx/cmd/buildx

FROM scratch AS program
COPY --from=supply-action /out/supply-action /supply-action
COPY --from=buildx /out/buildx /buildx

FROM ${CA_IMAGE} AS base
RUN mkdir -p /root-fs/tmp && chmod 1777 /root-fs/tmp \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /root-fs/etc/ssl/certs/ca-certificates.crt

FROM scratch
COPY --from=base /root-fs /
COPY --from=program /supply-action /supply-action
COPY --from=program /buildx /usr/local/bin/buildx
ENV PATH=/usr/local/bin
ENTRYPOINT ["/supply-action"]
