# The image that k8s/base names: `docker build -t thalweg:0.1.0 .`
FROM rust:1.95.0-bookworm AS build
# The image's own toolchain: the components that rust-toolchain.toml asks for are for development.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake pkg-config libssl-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package thalweg

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libssl3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /source/target/release/thalweg /usr/local/bin/thalweg
COPY LICENSE /usr/share/doc/thalweg/LICENSE
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
WORKDIR /var/lib/thalweg
EXPOSE 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/thalweg"]
