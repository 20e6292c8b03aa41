import { describe, expect, it } from 'vitest';
import { proxyFor } from '#lib/http/proxy.ts';

const PROXIES = { httpProxy: 'http://proxy:3128', httpsProxy: 'http://secure-proxy:3129' };

describe('proxyFor', () => {
  it.each([
    ['http://keystone:5000/v3', 'http://proxy:3128/'],
    ['https://keystone:5000/v3', 'http://secure-proxy:3129/'],
  ])('takes the proxy of the scheme for %s', (url, expected) => {
    expect(proxyFor(new URL(url), PROXIES)?.href).toBe(expected);
  });

  it.each([
    ['http://keystone/', { httpsProxy: 'http://p:1' }],
    ['https://keystone/', { httpProxy: 'http://p:1' }],
    ['http://keystone/', { httpProxy: '' }],
    ['http://keystone/', {}],
  ])('connects directly to %s with %j', (url, settings) => {
    expect(proxyFor(new URL(url), settings)).toBeUndefined();
  });

  it('takes a proxy without scheme for an HTTP proxy, with its credentials', () => {
    const proxy = proxyFor(new URL('http://keystone/'), { httpProxy: 'user:p%40ss@proxy:3128' });

    expect(proxy).toMatchObject({
      protocol: 'http:',
      host: 'proxy:3128',
      username: 'user',
      password: 'p%40ss',
    });
  });

  it.each([
    ['*', 'http://anything:1234/'],
    ['keystone', 'http://keystone/'],
    ['keystone', 'http://KEYSTONE:5000/'],
    ['Keystone.Example.org', 'http://keystone.example.org/'],
    ['example.org', 'http://keystone.example.org/'],
    ['example.org', 'http://example.org/'],
    ['.example.org', 'http://keystone.example.org/'],
    ['.example.org', 'http://example.org/'],
    ['*.example.org', 'http://a.b.example.org/'],
    ['a, b ,keystone', 'http://keystone/'],
    ['a b keystone', 'http://keystone/'],
    ['10.0.0.5', 'http://10.0.0.5:5000/'],
    ['10.0.0.0/8', 'http://10.1.2.3/'],
    ['10.0.0.0/31', 'http://10.0.0.1/'],
    ['10.0.0.5/32', 'http://10.0.0.5/'],
    ['0.0.0.0/0', 'http://10.0.0.5/'],
    ['::1', 'http://[::1]:5000/'],
    ['[::1]', 'http://[::1]:5000/'],
    ['[::1]:5000', 'http://[::1]:5000/'],
    ['2001:db8::5', 'http://[2001:db8::5]/'],
    ['2001:DB8:0:0::5', 'http://[2001:db8::5]/'],
    ['2001:db8::/32', 'http://[2001:db8:1::5]/'],
    ['[2001:db8::]/32', 'http://[2001:db8:1::5]/'],
    ['keystone:5000', 'http://keystone:5000/'],
    ['keystone:80', 'http://keystone/'],
    ['keystone:443', 'https://keystone/'],
    ['.example.org:5000', 'http://keystone.example.org:5000/'],
    ['10.0.0.5:5000', 'http://10.0.0.5:5000/'],
  ])('exempts with no_proxy %j %s', (noProxy, url) => {
    expect(proxyFor(new URL(url), { ...PROXIES, noProxy })).toBeUndefined();
  });

  it.each([
    ['', 'http://keystone/'],
    [' , ', 'http://keystone/'],
    ['key', 'http://keystone/'],
    ['stone', 'http://keystone/'],
    ['example.org', 'http://badexample.org/'],
    ['example.org', 'http://example.org.evil/'],
    ['keystone:5000', 'http://keystone:5001/'],
    ['keystone:443', 'http://keystone/'],
    ['10.0.0.5', 'http://10.0.0.50/'],
    ['0.0.5', 'http://10.0.0.5/'],
    ['10.0.0.0/8', 'http://11.0.0.1/'],
    ['10.0.0.0/33', 'http://10.0.0.1/'],
    ['10.0.0.0/8', 'http://keystone/'],
    ['10.0.0.0/8', 'http://[::1]/'],
    ['2001:db8::/32', 'http://[2001:db9::5]/'],
    ['::/0', 'http://10.0.0.1/'],
  ])('does not exempt with no_proxy %j %s', (noProxy, url) => {
    expect(proxyFor(new URL(url), { ...PROXIES, noProxy })).toBeDefined();
  });
});
