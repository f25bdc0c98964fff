import { createHmac, timingSafeEqual } from 'node:crypto';
import { Problem } from '../app.js';
import type { Exchange } from '../exchange.js';

interface Keys {
  readonly consumerKey: string;
  readonly consumerSecret: string;
}

/**
 * Basic auth, the two keys in the query, or a query signed by OAuth 1.0a, as the official client does over http. (A real shop takes the
 * first two over https only.)
 *
 * @throws {Problem} 401.
 */
export function checkAccess({ request, url }: Exchange, { consumerKey, consumerSecret }: Keys): void {
  const query = url.searchParams;
  const signature = query.get('oauth_signature');
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  const [key, secret] =
    basic === undefined
      ? [query.get('oauth_consumer_key') ?? query.get('consumer_key'), query.get('consumer_secret')]
      : Buffer.from(basic, 'base64').toString().split(':');
  if (key === null || key === undefined || key === '')
    throw new Problem(401, 'woocommerce_rest_cannot_view', 'Sorry, you cannot list resources.');
  if (key !== consumerKey) throw new Problem(401, 'woocommerce_rest_authentication_error', 'Consumer key is invalid.');
  const isKnown =
    signature === null
      ? isSame(secret ?? '', consumerSecret)
      : isSame(signature, signatureOf(request.method ?? '', url, consumerSecret));
  if (!isKnown)
    throw new Problem(
      401,
      'woocommerce_rest_authentication_error',
      signature === null ? 'Consumer secret is invalid.' : 'Invalid signature - provided signature does not match.',
    );
}

/** RFC 5849, 3.4, without a token. */
function signatureOf(method: string, url: URL, secret: string): string {
  // The official client sends its parameters twice. PHP keeps the last of a name.
  const pairs = [...new Map(url.searchParams)]
    .filter(([name]) => name !== 'oauth_signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort();
  const text = [method, `${url.origin}${url.pathname}`, pairs.join('&')].map(encode).join('&');
  const algorithm = url.searchParams.get('oauth_signature_method') === 'HMAC-SHA1' ? 'sha1' : 'sha256';
  return createHmac(algorithm, `${encode(secret)}&`)
    .update(text)
    .digest('base64');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
