# Runyard in a container: docker build -t runyard . && docker run -p 127.0.0.1:8080:8080 -v runyard:/var/lib/runyard … runyard
#
# Tools run in bubblewrap, inside the container. It needs user namespaces, and a /proc that it may mount anew; Docker forbids
# both unless it is told otherwise:
#
#   docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined …
#
# and on a host that restricts user namespaces (Ubuntu 24.04: sysctl kernel.apparmor_restrict_unprivileged_userns=0). Without
# that the service runs, says so in its log at the start, and an agent's `bash` answers with an error: nothing ever runs
# unsandboxed. No --privileged is needed, and the service is not root.

FROM node:22-bookworm-slim AS console
WORKDIR /source
COPY clients/typescript clients/typescript
COPY clients/web clients/web
COPY proto proto
COPY buf.yaml ./
COPY scripts scripts
RUN scripts/console.sh

FROM rust:1.95-bookworm AS program
WORKDIR /source
COPY . .
COPY --from=console /source/clients/web/dist clients/web/dist
RUN cargo build --locked --release --bin runyard && strip --strip-debug target/release/runyard

FROM debian:bookworm-slim
# python3 is for the agents: what is installed here is what their commands find.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/runyard --create-home --shell /usr/sbin/nologin runyard
COPY --from=program /source/target/release/runyard /usr/local/bin/runyard
USER runyard
WORKDIR /var/lib/runyard
ENV RUNYARD_LISTEN=0.0.0.0:8080 RUNYARD_DATA_DIR=/var/lib/runyard
VOLUME /var/lib/runyard
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]
ENTRYPOINT ["runyard"]
CMD ["serve"]
