import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  checkResponse,
  digestOf,
  encodeChallenge,
  isServerProof,
  ProtocolError,
  respondToChallenge,
} from '../src/index.ts'

const credentials = { username: 'bob', password: 'bobsecret' }
const nonce = 'nonce-1'
const passwordOf = (username: string): string | undefined => (username === 'bob' ? 'bobsecret' : undefined)

describe('digest-md5', () => {
  it('digest - is that of the example in RFC 2831, section 4', () => {
    const exchange = {
      username: 'chris',
      realm: 'elwood.innosoft.com',
      nonce: 'OA6MG9tEQGm2hh',
      cnonce: 'OA6MHXh6VqTrRk',
      digestUri: 'imap/elwood.innosoft.com',
    }
    expect(digestOf(exchange, 'secret', 'AUTHENTICATE')).toBe('d388dad90d4bbd760a152321f2143af7')
    expect(digestOf(exchange, 'secret', '')).toBe('ea40f60335c427b5527b84dbabcdfffd')
  })

  it('exchange - each side convinces the other, whatever name and password', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, unit: 'grapheme' }),
        fc.string({ unit: 'grapheme' }),
        (username, password) => {
          const challenge = encodeChallenge(nonce)
          const { token, expectedProof } = respondToChallenge(challenge, { username, password }, 'cnonce')
          const checked = checkResponse(token, nonce, name => (name === username ? password : undefined))
          expect(checked?.username).toBe(username)
          expect(isServerProof(checked!.token, expectedProof)).toBe(true)
        },
      ),
    )
  })

  it('wrong password, unknown user, old nonce, tampered response - are refused', () => {
    const { token, expectedProof } = respondToChallenge(encodeChallenge(nonce), credentials, 'cnonce')
    expect(checkResponse(token, nonce, () => 'other')).toBeUndefined()
    expect(checkResponse(token, nonce, () => undefined)).toBeUndefined()
    expect(checkResponse(token, 'nonce-2', passwordOf)).toBeUndefined()
    const text = token.toString()
    expect(
      checkResponse(Buffer.from(text.replace('nc=00000001', 'nc=00000002')), nonce, passwordOf),
    ).toBeUndefined()
    expect(checkResponse(Buffer.from(`${text},authzid="super"`), nonce, passwordOf)).toBeUndefined()
    expect(isServerProof(Buffer.from('rspauth=00000000000000000000000000000000'), expectedProof)).toBe(false)
    expect(isServerProof(Buffer.from(''), expectedProof)).toBe(false)
  })

  it('a challenge that asks for encryption - is refused', () => {
    const challenge = Buffer.from('realm="r",nonce="n",qop="auth-conf",charset=utf-8,algorithm=md5-sess')
    expect(() => respondToChallenge(challenge, credentials, 'c')).toThrow(ProtocolError)
  })

  it('any bytes - are refused or end in a ProtocolError', () => {
    const near = fc.array(
      fc.constantFrom(
        'nonce=',
        '"',
        '\\',
        ',',
        '=',
        'username="bob"',
        'cnonce=x',
        'digest-uri=y',
        'response=',
        ' ',
      ),
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          near.map(parts => Buffer.from(parts.join(''))),
        ),
        bytes => {
          try {
            expect(checkResponse(bytes, nonce, passwordOf)).toBeUndefined()
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError)
          }
        },
      ),
    )
  })
})
