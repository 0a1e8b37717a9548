# The image that k8s/base names: `docker build --build-arg COMMIT="$(git rev-parse HEAD)" -t thalweg:0.1.0 .`
FROM rust:1.95.0-bookworm AS build
# The image's own toolchain: the components that rust-toolchain.toml asks for are for development.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake pkg-config libssl-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# What `thalweg version` says it was built from.
ARG COMMIT=""
RUN THALWEG_COMMIT="$COMMIT" cargo build --profile dist --locked --package thalweg --features full \
    && strip --strip-debug target/dist/thalweg

# The library that models run on, out of its Python package.
FROM python:3.11-slim-bookworm AS runtime
RUN pip install --no-cache-dir --no-deps --target /python onnxruntime==1.32.0 \
    && mkdir /onnxruntime \
    && cp /python/onnxruntime/capi/libonnxruntime.so.* /onnxruntime/libonnxruntime.so \
    && cp /python/onnxruntime/LICENSE /python/onnxruntime/ThirdPartyNotices.txt /onnxruntime/

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libssl3 libstdc++6 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=runtime /onnxruntime/libonnxruntime.so /usr/local/lib/libonnxruntime.so
COPY --from=runtime /onnxruntime/LICENSE /onnxruntime/ThirdPartyNotices.txt /usr/share/doc/onnxruntime/
COPY --from=build /source/target/dist/thalweg /usr/local/bin/thalweg
COPY LICENSE /usr/share/doc/thalweg/LICENSE
ENV ORT_DYLIB_PATH=/usr/local/lib/libonnxruntime.so
# The folder belongs to who runs, whatever builds this image, and so does a named volume, which begins as a copy of it.
RUN install --directory --owner=65532 --group=65532 /var/lib/thalweg
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
WORKDIR /var/lib/thalweg
EXPOSE 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/thalweg"]
