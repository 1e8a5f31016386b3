import { readFileSync } from 'node:fs'

/** A certificate and its key, as PEM. */
export interface TestCertificate {
  readonly cert: string
  readonly key: string
}

/**
 * Certificates for tests. Their keys are public: trust them nowhere else. `authority` has signed `server` (for
 * `localhost` and 127.0.0.1), `client` (`CN=client,O=Conclave`) and `elsewhere` (a server of another name); nobody
 * trusts `stranger`.
 */
export function testCertificates(): Readonly<
  Record<'authority' | 'stranger' | 'server' | 'client' | 'elsewhere', TestCertificate>
> {
  const read = (name: string): TestCertificate => ({
    cert: readFileSync(new URL(`../certificates/${name}.crt`, import.meta.url), 'utf8'),
    key: readFileSync(new URL(`../certificates/${name}.key`, import.meta.url), 'utf8'),
  })
  return {
    authority: read('authority'),
    stranger: read('stranger'),
    server: read('server'),
    client: read('client'),
    elsewhere: read('elsewhere'),
  }
}
