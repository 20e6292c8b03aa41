import { describe, expect, it } from 'vitest';
import { secretsOf } from '#lib/config/secrets.ts';
import { Redactor } from '#lib/log/redactor.ts';

describe('Redactor', () => {
  describe('for literal secrets', () => {
    const secret = 'p"a\\s/s w&rd%+é\n$1';
    const redactor = new Redactor([secret]);

    it.each([
      ['as it is', secret],
      ['within JSON', JSON.stringify({ a: secret }).slice(6, -2)],
      ['within a URL', encodeURIComponent(secret)],
    ])('finds them %s', (_, form) => {
      expect(redactor.text(`before ${form} after ${form}`)).toBe('before <redacted> after <redacted>');
    });

    it('finds them in values of JSON whose name tells nothing', () => {
      expect(redactor.json({ note: `it is ${secret}!` })).toBe('{"note":"it is <redacted>!"}');
    });

    it('leaves nothing of one within another', () => {
      expect(new Redactor(['abc', 'abcdef']).text('abcdef abc')).toBe('<redacted> <redacted>');
    });

    it('takes them for text, not for patterns', () => {
      expect(new Redactor(['.*', '[a', 'x|y', '(', '$&', '^a-b/']).text('abc .* [a x|y ( $& ^a-b/ x y')).toBe(
        'abc <redacted> <redacted> <redacted> <redacted> <redacted> <redacted> x y',
      );
    });

    it('never redacts what it has put there itself', () => {
      expect(new Redactor([...'redacted<>']).text('read')).toBe('<redacted>'.repeat(4));
    });

    it('ignores empty ones', () => {
      expect(new Redactor(['', '']).text('text')).toBe('text');
    });

    it('takes broken Unicode', () => {
      expect(new Redactor(['a\ud800b']).text('x a\ud800b y')).toBe('x <redacted> y');
    });
  });

  it('takes no longer for a long text of many words than for others', { timeout: 2000 }, () => {
    const text = 'a-b.c+'.repeat(200_000);

    expect(new Redactor(['secret']).text(`${text}://user:secret@host`)).toBe(`${text}://<redacted>@host`);
  });

  describe('for URLs', () => {
    const redactor = new Redactor();

    it.each([
      ['nats://nats:secret@10.0.0.6:4222', 'nats://<redacted>@10.0.0.6:4222'],
      [
        'see http://user@host/path and https://u:p@h',
        'see http://<redacted>@host/path and https://<redacted>@h',
      ],
      ['nats://nats:se@cr@t@10.0.0.6:4222', 'nats://<redacted>@10.0.0.6:4222'],
      ['"http://u:p@h"', '"http://<redacted>@h"'],
      ['http://host/a@b', 'http://host/a@b'],
      ['http://host?x=a@b', 'http://host?x=a@b'],
      ['mail me@example.org', 'mail me@example.org'],
    ])('removes user info of %s', (text, expected) => {
      expect(redactor.text(text)).toBe(expected);
    });

    it.each([
      ['http://h/p', 'http://h/p'],
      ['http://h/p?name=a&limit=5', 'http://h/p?name=a&limit=5'],
      ['http://h/p?token=a&b=c', 'http://h/p?token=<redacted>&b=c'],
      ['http://h/p?X-Amz-Signature=a', 'http://h/p?X-Amz-Signature=<redacted>'],
      [
        'http://h/p?temp_url_sig=a&temp_url_expires=5',
        'http://h/p?temp_url_sig=<redacted>&temp_url_expires=5',
      ],
      ['http://h/p?sig=a&sigil=b', 'http://h/p?sig=<redacted>&sigil=b'],
      ['http://h/p?PASSWORD=a', 'http://h/p?PASSWORD=<redacted>'],
      ['http://h/p?X-Amz-Security-Token=a', 'http://h/p?X-Amz-Security-Token=<redacted>'],
      ['http://u:p@h/p', 'http://<redacted>@h/p'],
      ['not a url', 'not a url'],
    ])('removes secrets of %s', (url, expected) => {
      expect(redactor.url(url)).toBe(expected);
    });
  });

  it.each([
    'X-Auth-Token',
    'x-subject-token',
    'X-Service-Token',
    'Authorization',
    'Proxy-Authorization',
    'Cookie',
    'set-cookie',
  ])('removes the header %s', (name) => {
    expect(new Redactor().headers({ [name]: 'secret', Accept: 'a' })).toBe(
      `{"${name}":"<redacted>","Accept":"a"}`,
    );
  });

  describe('for JSON', () => {
    const redactor = new Redactor();

    it.each([
      'password',
      'api_key',
      'apiKey',
      'application_credential_secret',
      'token',
      'private_key',
      'adminPass',
      'user_data',
      'personality',
      'mbus',
      'blobstore',
      'blobstores',
      'passphrase',
      'certificate_authority',
      'ca',
      'ca_cert',
      'env',
    ])('removes the value of %s at any depth', (name) => {
      const value = { a: [{ [name]: 'secret' }], [name]: { deep: 'secret' }, b: 'c' };

      expect(redactor.json(value)).toBe(`{"a":[{"${name}":"<redacted>"}],"${name}":"<redacted>","b":"c"}`);
    });

    it('keeps what is no secret', () => {
      const value = { name: 'vm', key_name: 'k', size: 5, tags: ['a'], flag: false, none: null, passed: 1 };

      expect(redactor.json(value)).toBe(JSON.stringify(value));
    });

    it('keeps null, which tells that something is absent', () => {
      expect(redactor.json({ adminPass: null })).toBe('{"adminPass":null}');
    });

    it('keeps who logs in, but not with what', () => {
      const body = {
        auth: {
          identity: {
            methods: ['password'],
            password: { user: { name: 'bosh', domain: { name: 'd' }, password: 'secret' } },
          },
          scope: { project: { name: 'cf' } },
        },
      };

      const text = redactor.json(body);

      expect(text).not.toContain('secret');
      expect(text).toContain('"name":"bosh"');
      expect(text).toContain('"scope":{"project":{"name":"cf"}}');
    });

    it('keeps nothing of an application credential', () => {
      const body = { identity: { methods: ['x'], application_credential: { id: 'a', secret: 'secret' } } };

      expect(redactor.json(body)).not.toContain('secret"');
    });

    it('has nothing to say of undefined', () => {
      expect(redactor.json(undefined)).toBe('');
    });
  });
});

describe('secretsOf', () => {
  it.each([
    [{ openstack: { api_key: 'a1', username: 'u' } }, ['a1']],
    [{ openstack: { application_credential_secret: 'a1', application_credential_id: 'i' } }, ['a1']],
    [{ registry: { password: 'a1', user: 'u', endpoint: 'http://agent:a2@host' } }, ['a1', 'a2', 'a2']],
    [{ agent: { mbus: 'nats://nats:p%40ss@10.0.0.6:4222' } }, ['p%40ss', 'p@ss']],
    [{ agent: { mbus: 'nats://nats:100%@10.0.0.6:4222' } }, ['100%', '100%']],
    [{ agent: { blobstore: { options: { password: 'a1', secret_access_key: 'a2' } } } }, ['a1', 'a2']],
    [{ stemcells: { access_key_id: 'i', secret_access_key: 'a1' } }, ['a1']],
    [{ a: [{ token: 'a1' }], passwords: ['a2', 'a3'] }, ['a1', 'a2', 'a3']],
    [{ private_key: 'a1', tls: { client: { private_key: 'a2' } } }, ['a1', 'a2']],
    [{ proxy: 'http://user@host', auth_url: 'http://host/v3', note: '://' }, []],
    [{ api_key: 5, password: null, secret: { a: 'b' } }, []],
    [undefined, []],
  ])('of %j are %j', (value, expected) => {
    expect(secretsOf(value)).toEqual(expected);
  });
});
