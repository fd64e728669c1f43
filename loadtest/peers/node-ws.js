// Peer: Node with `ws` on the HTTP server of an Express application, the stack that the protocol was first written for.
//
//   node node-ws.js PORT
//
// Fast settings: no compression, `bufferutil` for unmasking (`ws` finds it by itself), one serialisation for a fan-out.

import { createServer } from 'node:http';
import express from 'express';
import { WebSocket, WebSocketServer } from 'ws';
import * as envelope from './envelope.js';

const TEXT = { binary: false };

/** By name: the connections in the session, and its newest position. */
const sessions = new Map();

function join(name, socket) {
  let session = sessions.get(name);
  if (!session) sessions.set(name, (session = { name, members: new Set(), seq: 0 }));
  session.members.add(socket);
  return session;
}

function leave(socket) {
  const { session } = socket;
  if (session?.members.delete(socket) && session.members.size === 0) sessions.delete(session.name);
}

function publish(message, sender) {
  const session = message.sessionId === undefined ? sender.session : sessions.get(message.sessionId);
  if (!session) return; // Nobody is in it.
  const { user, echo: usual } = sender.identity;
  const echo = message.echo ?? usual;
  const bytes = Buffer.from(JSON.stringify(envelope.relayed(message, session.name, ++session.seq, user)));
  for (const member of session.members) {
    if ((echo || member !== sender) && member.readyState === WebSocket.OPEN) member.send(bytes, TEXT);
  }
}

function authenticate(message, socket) {
  leave(socket);
  socket.identity = envelope.identity(message);
  socket.session = join(socket.identity.session, socket);
  answer(socket, envelope.welcome(message, socket.identity));
}

function answer(socket, message) {
  socket.send(JSON.stringify(message));
}

function take(socket, data) {
  const message = envelope.parse(data.toString());
  envelope.check(message);
  if (message.type === 'authentication') authenticate(message, socket);
  else if (socket.identity) publish(message, socket);
  else answer(socket, envelope.unauthenticated(message));
}

function onMessage(data, isBinary) {
  if (isBinary) return this.close(1003);
  try {
    take(this, data);
  } catch (error) {
    answer(this, envelope.refusal(error));
  }
}

function onPong() {
  this.isAlive = true;
}

function onClose() {
  leave(this);
}

const app = express();
app.disable('x-powered-by');
app.get('/health', (_request, response) => response.json({ sessions: sessions.size }));

const server = createServer(app);
const sockets = new WebSocketServer({
  server,
  path: '/ws',
  perMessageDeflate: false,
  maxPayload: envelope.MAX_MESSAGE_BYTES,
  handleProtocols: (offered) => offered.has(envelope.SUBPROTOCOL) && envelope.SUBPROTOCOL,
});

sockets.on('connection', (socket) => {
  socket.isAlive = true;
  socket.on('message', onMessage);
  socket.on('pong', onPong);
  socket.on('close', onClose);
  socket.on('error', () => socket.terminate());
});

function beat() {
  for (const socket of sockets.clients) {
    if (!socket.isAlive) socket.terminate();
    socket.isAlive = false;
    socket.ping();
  }
}

setInterval(beat, envelope.HEARTBEAT_SECONDS * 1000);
process.on('SIGTERM', () => process.exit(0));
server.listen({ port: envelope.port(), host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`listening on ${server.address().port}`);
});
