# monorepo: three images from one repository, published together or not at all.
#   buildx bake --print

variable "REGISTRY" {
  default = "ghcr.io/octo/monorepo"
}

variable "VERSION" {
  default = "v1.2.3"
}

group "default" {
  targets = ["greeter", "clock"]
}

# What the others are built from, for each of their platforms. It is not asked for, so it is neither pushed nor named.
target "base" {
  platforms         = ["linux/amd64", "linux/arm64"]
  dockerfile-inline = <<EOT
FROM busybox:1.35
RUN echo "built together" >/etc/motd
EOT
}

# Two images from one target: greeter-en and greeter-de.
target "greeter" {
  name = "greeter-${greeting.language}"
  matrix = {
    greeting = [
      { language = "en", word = "hello" },
      { language = "de", word = "hallo" },
    ]
  }
  context   = "greeter"
  contexts  = { base = "target:base" }
  args      = { WORD = greeting.word }
  platforms = ["linux/amd64", "linux/arm64"]
  tags      = ["${REGISTRY}/greeter-${greeting.language}:${VERSION}", "${REGISTRY}/greeter-${greeting.language}:latest"]
}

target "clock" {
  context   = "clock"
  contexts  = { base = "target:base" }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}/clock:${VERSION}"]
}
