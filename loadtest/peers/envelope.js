// What the JavaScript peers share: the checks of a message, and what is sent for it. Text or a parsed value comes in, an
// object to send comes out; sockets and sessions are the servers' own.
//
// Checked is what every peer checks: `id`, `type`, `payload`, `priority`, `sessionId`. The rest of the protocol (acks, keys,
// positions to resume from, reserved types, limits) is left out.

import { randomUUID } from 'node:crypto';

export const SUBPROTOCOL = 'hashi.v1';
export const MAX_MESSAGE_BYTES = 65536;
export const HEARTBEAT_SECONDS = 30;

const TYPE = /^[A-Za-z0-9_.:/-]{1,64}$/;
const SESSION = /^[^@\p{Cc}]\P{Cc}{0,254}$/u;
const TOKEN = /^\P{Cc}{1,254}$/u;

export class BadMessage extends Error {
  constructor(field) {
    super(`${field} is missing or wrong.`);
    this.field = field;
  }
}

export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new BadMessage('message');
  }
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPriority(value) {
  return value === 'normal' || value === 'high' || value === 'low';
}

function ensure(holds, field) {
  if (!holds) throw new BadMessage(field);
}

/** Throws `BadMessage` unless the message is a whole envelope. */
export function check(message) {
  ensure(isObject(message), 'message');
  const { id, type, payload, priority, sessionId } = message;
  ensure(typeof id === 'string' && id.length >= 1 && id.length <= 128, 'id');
  ensure(typeof type === 'string' && TYPE.test(type), 'type');
  ensure(payload !== undefined, 'payload');
  ensure(priority === undefined || isPriority(priority), 'priority');
  ensure(sessionId === undefined || (typeof sessionId === 'string' && SESSION.test(sessionId)), 'sessionId');
}

/** Who an `authentication` message says the connection is: `{user, session, echo}`. */
export function identity(message) {
  const { payload } = message;
  ensure(isObject(payload), 'payload');
  const { token, sessionId = message.sessionId, echo = true } = payload;
  ensure(typeof token === 'string' && TOKEN.test(token), 'payload.token');
  ensure(typeof sessionId === 'string' && SESSION.test(sessionId), 'payload.sessionId');
  ensure(typeof echo === 'boolean', 'payload.echo');
  return { user: token, session: sessionId, echo };
}

export function welcome(message, { user, session }) {
  return own('authentication', message.id, { success: true, protocol: 1, userId: user, sessionId: session });
}

/** The answer to a message that is wrong; anything but `BadMessage` is thrown on. */
export function refusal(error) {
  if (!(error instanceof BadMessage)) throw error;
  return own('error', undefined, { code: 'bad_message', message: error.message, field: error.field });
}

export function unauthenticated(message) {
  return own('error', message.id, { code: 'authentication_required', message: 'Authenticate first.' });
}

function own(type, replyTo, payload) {
  return { id: randomUUID(), type, timestamp: new Date().toISOString(), priority: 'high', replyTo, payload };
}

/** What the members of a session get for a message. */
export function relayed({ id, type, priority = 'normal', payload }, sessionId, seq, from) {
  return { id, type, timestamp: new Date().toISOString(), priority, sessionId, seq, from, payload };
}

/** The port of the first argument or of `PORT`. */
export function port() {
  return Number(process.argv[2] ?? process.env.PORT);
}
