// Peer: the server of Bun, with its native publish and subscribe (uWebSockets inside).
//
//   bun bun.js PORT
//
// Fast settings: no compression, fan-out by topics, a message serialised once and stored once by the runtime.

import * as envelope from './envelope.js';

/** By name: the newest position of a session and how many connections are in it. Who they are the runtime knows. */
const sessions = new Map();

function join(name, socket) {
  const session = sessions.get(name) ?? { name, size: 0, seq: 0 };
  session.size += 1;
  sessions.set(name, session);
  socket.subscribe(name);
  return session;
}

function leave(socket) {
  const { session } = socket.data;
  if (!session) return;
  socket.unsubscribe(session.name);
  session.size -= 1;
  if (session.size === 0) sessions.delete(session.name);
}

function publish(message, sender) {
  const { identity, session: own } = sender.data;
  const session = message.sessionId === undefined ? own : sessions.get(message.sessionId);
  if (!session) return; // Nobody is in it.
  const text = JSON.stringify(envelope.relayed(message, session.name, ++session.seq, identity.user));
  // A socket's own `publish` leaves the socket itself out.
  if (message.echo ?? identity.echo) server.publish(session.name, text);
  else sender.publish(session.name, text);
}

function authenticate(message, socket) {
  const identity = envelope.identity(message);
  leave(socket);
  socket.data = { identity, session: join(identity.session, socket) };
  answer(socket, envelope.welcome(message, identity));
}

function answer(socket, message) {
  socket.send(JSON.stringify(message));
}

function take(socket, text) {
  const message = envelope.parse(text);
  envelope.check(message);
  if (message.type === 'authentication') authenticate(message, socket);
  else if (socket.data.identity) publish(message, socket);
  else answer(socket, envelope.unauthenticated(message));
}

function onMessage(socket, data) {
  if (typeof data !== 'string') return socket.close(1003);
  try {
    take(socket, data);
  } catch (error) {
    answer(socket, envelope.refusal(error));
  }
}

function upgrade(request, server) {
  const headers = { 'Sec-WebSocket-Protocol': envelope.SUBPROTOCOL };
  if (server.upgrade(request, { headers, data: {} })) return undefined;
  return new Response('This speaks WebSocket.', { status: 426 });
}

const server = Bun.serve({
  port: envelope.port(),
  hostname: '127.0.0.1',
  routes: { '/ws': upgrade },
  websocket: {
    perMessageDeflate: false,
    maxPayloadLength: envelope.MAX_MESSAGE_BYTES,
    // The runtime pings a connection that has been silent; one silent for twice as long is closed.
    sendPings: true,
    idleTimeout: 2 * envelope.HEARTBEAT_SECONDS,
    message: onMessage,
    close: leave,
  },
});

process.on('SIGTERM', () => process.exit(0));
console.log(`listening on ${server.port}`);
