# Headwater as one static binary in an empty image.
#
#   docker build -t headwater .
#   docker run --rm -p 127.0.0.1:8080:8080 -p 127.0.0.1:9090:9090 headwater demo --insecure
#
# deploy/docker/headwater.yaml is the configuration inside; mount yours over /etc/headwater/headwater.yaml, readable by the user
# 65532. Relative file names, the data folder's among them, are below /.
#
# deploy/docker/build-steps.sh runs the same steps without Docker; keep the two alike.

FROM node:20-bookworm-slim AS players
WORKDIR /src/origin/console/web
COPY origin/console/web/package.json origin/console/web/package-lock.json origin/console/web/.npmrc ./
RUN npm ci --ignore-scripts --no-fund --no-audit
COPY origin/console/web/ ./
RUN npm run --silent players

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=players /src/origin/console/web/dist origin/console/web/dist
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /out/headwater ./cmd/headwater
RUN mkdir /out/data

FROM scratch
COPY --from=build /out/headwater /headwater
COPY --from=build --chown=65532:65532 --chmod=0750 /out/data /data
COPY --chmod=0644 deploy/docker/headwater.yaml /etc/headwater/headwater.yaml
USER 65532:65532
WORKDIR /
ENV HEADWATER_CONFIG=/etc/headwater/headwater.yaml
EXPOSE 8080 9090
VOLUME ["/data"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/headwater", "healthcheck"]
ENTRYPOINT ["/headwater"]
CMD ["serve"]
