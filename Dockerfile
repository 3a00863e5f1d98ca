# One service of the system as an image: `docker build --build-arg SERVICE=orders-service .`
# All four are built in one layer, which the images of the other three find done.
FROM rust:1.95-bookworm AS builder
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libssl-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --release --locked --config profile.release.debug=false \
      --package orders-service --package inventory-service \
      --package fraud-service --package payments-service \
      --features orders-service/ssl,inventory-service/ssl,fraud-service/ssl,payments-service/ssl \
 && mkdir /services \
 && cp target/release/*-service /services \
 && rm -rf target

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates libssl3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home service \
 && install --directory --owner service /state
ARG SERVICE
COPY --from=builder /services/${SERVICE} /usr/local/bin/service
USER service
# Replicas may share it.
VOLUME /state
ENV LISTEN=0.0.0.0:8080 STATE_DIR=/state
EXPOSE 8080
# Ready is more than alive: it has its part of the work, or says at /readyz what is missing.
HEALTHCHECK --interval=2s --timeout=2s --start-period=30s --retries=5 CMD ["bash", "-c", \
  "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["service"]
