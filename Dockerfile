# Runyard in a container: docker build -t runyard . && docker run -p 127.0.0.1:8080:8080 -v runyard:/var/lib/runyard … runyard
#
# Tools run in bubblewrap inside the container. Bubblewrap needs user namespaces and must be able to mount a new /proc;
# Docker forbids both unless you allow them:
#
#   docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined …
#
# Hosts that restrict user namespaces also need sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 24.04).
# Without these settings the service runs and logs the problem at start, and an agent's `bash` calls fail: nothing ever
# runs outside the sandbox. The container needs no --privileged, and the service does not run as root.

FROM node:22-bookworm-slim AS console
WORKDIR /source
COPY clients/typescript clients/typescript
COPY clients/web clients/web
COPY proto proto
COPY buf.yaml ./
COPY scripts/console.sh scripts/install.sh scripts/node.sh scripts/progress.sh scripts/
RUN scripts/console.sh

FROM rust:1.95-bookworm AS program
WORKDIR /source
COPY . .
COPY --from=console /source/clients/web/dist clients/web/dist
RUN cargo build --locked --profile production --bin runyard && strip --strip-debug -o /runyard target/production/runyard
# Includes the installed npm packages, whose licences are needed.
COPY --from=console /source/clients clients
RUN scripts/install.sh python3:python3 && scripts/third-party.py --console >/THIRD-PARTY

FROM debian:bookworm-slim
# python3 is for agents: their commands find the programs that are installed here.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 runyard \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/runyard --no-create-home --shell /usr/sbin/nologin runyard \
    && install -d -o runyard -g runyard -m 700 /var/lib/runyard
COPY --from=program /runyard /usr/local/bin/runyard
COPY --from=program /THIRD-PARTY /source/LICENSE /usr/share/doc/runyard/
# Numeric, so that container runtimes can verify that the user is not root.
USER 10001:10001
WORKDIR /var/lib/runyard
ENV RUNYARD_LISTEN=0.0.0.0:8080 RUNYARD_DATA_DIR=/var/lib/runyard
VOLUME /var/lib/runyard
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]
ENTRYPOINT ["runyard"]
CMD ["serve"]
