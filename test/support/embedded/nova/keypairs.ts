import { createHash, randomBytes } from 'node:crypto';
import type { Caller, Reply } from '../http.ts';
import type { Keypair } from '../state.ts';
import { micros, type World } from '../world.ts';
import { type Call, check, fault, member, textOrNull } from './requests.ts';
import { createKeypairSchema } from './schemas.ts';

/** Key pairs belong to a user, not to a project. */
export class Keypairs {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  of(caller: Caller): Keypair[] {
    return [...this.#world.state.keypairs.values()].filter((pair) => pair.user_id === caller.userId);
  }

  get(caller: Caller, name: string): Keypair {
    const pair = this.of(caller).find((known) => known.name === name);
    if (!pair) {
      throw fault('itemNotFound', 404, `Keypair ${name} not found for user ${caller.userId}`);
    }
    return pair;
  }

  list(call: Call): Reply {
    const keypairs = this.of(call.caller).map(({ name, public_key, fingerprint: print }) => ({
      keypair: { name, public_key, fingerprint: print },
    }));
    return { status: 200, body: { keypairs } };
  }

  show(call: Call, name: string): Reply {
    const pair = this.get(call.caller, name);
    return {
      status: 200,
      body: { keypair: { ...pair, deleted: false, deleted_at: null, updated_at: null } },
    };
  }

  create(call: Call): Reply {
    check(createKeypairSchema, call.body);
    const given = member(call.body, 'keypair');
    const name = String(given.name);
    if (this.of(call.caller).some((pair) => pair.name === name)) {
      throw fault('conflictingRequest', 409, `Key pair '${name}' already exists.`);
    }
    const publicKey =
      textOrNull(given.public_key) ?? `ssh-rsa ${randomBytes(270).toString('base64')} Generated-by-Nova`;
    const pair: Keypair = {
      id: this.#world.state.keypairs.size + 1,
      user_id: call.caller.userId,
      name,
      public_key: publicKey,
      fingerprint: fingerprint(publicKey),
      created_at: micros(),
    };
    this.#world.state.keypairs.set(`${pair.user_id} ${pair.name}`, pair);
    const { public_key, user_id } = pair;
    return { status: 200, body: { keypair: { name, public_key, fingerprint: pair.fingerprint, user_id } } };
  }

  delete(call: Call, name: string): Reply {
    const pair = this.get(call.caller, name);
    this.#world.state.keypairs.delete(`${pair.user_id} ${pair.name}`);
    return { status: 202 };
  }
}

function fingerprint(publicKey: string): string {
  const hex = createHash('md5').update(publicKey).digest('hex');
  return hex.match(/../g)?.join(':') ?? '';
}
