import { answerChallenge, type SaslCredentials } from '../../src/sasl-digest-md5.ts'

export const CHALLENGE = 'realm="zk-sasl-md5",nonce="n",qop="auth",charset=utf-8,algorithm=md5-sess'

/** The server's side of SASL, for one user. */
export function knowing(credentials: SaslCredentials): (token: string) => string | undefined {
  return token => {
    if (token === '') return CHALLENGE
    const cnonce = /cnonce="([^"]+)"/.exec(token)![1]!
    const answer = answerChallenge(CHALLENGE, credentials, cnonce)
    return token === answer.token ? answer.expectedProof : undefined
  }
}
