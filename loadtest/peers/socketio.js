// Peer: Socket.IO on Node, its default engine, with a room for each session. An envelope is the argument of the event `message`.
//
//   node socketio.js PORT
//
// Fast settings: WebSocket only, no compression, requests not kept, `bufferutil` for unmasking.

import { createServer } from 'node:http';
import { Server } from 'socket.io';
import * as envelope from './envelope.js';

/** By name: the newest position of a session. Who is in it Socket.IO knows. */
const positions = new Map();

function publish(message, sender) {
  const { user, session: own, echo: wanted } = sender.data;
  const session = message.sessionId ?? own;
  const seq = (positions.get(session) ?? 0) + 1;
  positions.set(session, seq);
  // A socket's own `to` leaves the socket itself out.
  const receivers = (message.echo ?? wanted) ? io.to(session) : sender.to(session);
  receivers.emit('message', envelope.relayed(message, session, seq, user));
}

function authenticate(message, socket) {
  const identity = envelope.identity(message);
  if (socket.data.session) socket.leave(socket.data.session);
  socket.data = identity;
  socket.join(identity.session);
  socket.emit('message', envelope.welcome(message, identity));
}

function take(socket, message) {
  envelope.check(message);
  if (message.type === 'authentication') authenticate(message, socket);
  else if (socket.data.user) publish(message, socket);
  else socket.emit('message', envelope.unauthenticated(message));
}

function onMessage(message) {
  try {
    take(this, message);
  } catch (error) {
    this.emit('message', envelope.refusal(error));
  }
}

const server = createServer();
const io = new Server(server, {
  transports: ['websocket'],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
  maxHttpBufferSize: envelope.MAX_MESSAGE_BYTES,
  pingInterval: envelope.HEARTBEAT_SECONDS * 1000,
});

// The documentation's advice for less memory: the request of the handshake is not needed any more.
io.engine.on('connection', (raw) => {
  raw.request = null;
});
io.on('connection', (socket) => socket.on('message', onMessage));
io.of('/').adapter.on('delete-room', (session) => positions.delete(session));

process.on('SIGTERM', () => process.exit(0));
server.listen({ port: envelope.port(), host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`listening on ${server.address().port}`);
});
