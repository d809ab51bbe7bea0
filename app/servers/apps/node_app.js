// The work kinds as a Node.js application: node node_app.js HOST PORT WORKERS GRACE_S
//
// One thread runs the event loop. `/cpu` and `/hash` block it; `/sleep` gives it free.
"use strict";

const cluster = require("node:cluster");
const crypto = require("node:crypto");
const http = require("node:http");

const [host, port, workers, graceS] = process.argv.slice(2);
const MAXIMA = { us: 1_000_000, ms: 10_000, n: 1024 * 1024 };

function spin(iterations) {
  let sum = 0;
  for (let i = 0; i < iterations; i++) sum = (sum + i) | 0;
  return sum;
}

function hashRounds(iterations) {
  crypto.pbkdf2Sync("threadlab", "salt", Math.max(1, iterations), 32, "sha256");
}

// Iterations per µs, the best of several runs: JavaScript's loop is faster than Python's, so the lab's own
// numbers do not fit.
function perUs(burn, iterations) {
  let best = Infinity;
  for (let run = 0; run < 7; run++) {
    const startNs = process.hrtime.bigint();
    burn(iterations);
    best = Math.min(best, Number(process.hrtime.bigint() - startNs) / 1000);
  }
  return iterations / best;
}

function parameter(url, name) {
  const text = url.searchParams.get(name) ?? "";
  return /^\d{1,9}$/.test(text) && Number(text) <= MAXIMA[name] ? Number(text) : null;
}

function respond(response, status, body) {
  response.writeHead(status, { "Content-Type": "text/plain", "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

function echo(request, response) {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => respond(response, 200, Buffer.concat(parts)));
}

function serve() {
  const cpuPerUs = perUs(spin, 2_000_000);
  const hashPerUs = perUs(hashRounds, 5_000);
  const paths = {
    "/sleep": ["ms", (ms, answer) => setTimeout(() => answer(`slept ${ms} ms\n`), ms)],
    "/bytes": ["n", (n, answer) => answer("x".repeat(n))],
    "/cpu": [
      "us",
      (us, answer) => {
        spin(Math.round(us * cpuPerUs));
        answer(`burnt ${us} us\n`);
      },
    ],
    "/hash": [
      "us",
      (us, answer) => {
        hashRounds(Math.round(us * hashPerUs));
        answer(`hashed for ${us} us\n`);
      },
    ],
  };
  const server = http.createServer((request, response) => {
    if (request.url === "/") return respond(response, 200, "Hello, World!");
    if (request.url === "/healthz") return respond(response, 200, "ok\n");
    const url = new URL(request.url, "http://localhost");
    if (url.pathname === "/echo") return echo(request, response);
    const found = paths[url.pathname];
    if (!found) return respond(response, 404, "not found\n");
    const [name, work] = found;
    const value = parameter(url, name);
    if (value === null) return respond(response, 400, `${name} must be a whole number up to ${MAXIMA[name]}\n`);
    return work(value, (body) => respond(response, 200, body));
  });
  server.keepAliveTimeout = 15_000;
  server.listen({ host, port: Number(port), backlog: 4096 });
  process.on("SIGTERM", () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => process.exit(0), Number(graceS) * 1000).unref();
  });
}

if (Number(workers) > 1 && cluster.isPrimary) {
  for (let i = 0; i < Number(workers); i++) cluster.fork();
  process.on("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill("SIGTERM");
    cluster.disconnect(() => process.exit(0));
  });
} else {
  serve();
}
