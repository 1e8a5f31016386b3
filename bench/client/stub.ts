import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** Starts the server that answers at once, in a process of its own; its data has the size given. */
export async function startStub(dataBytes: number): Promise<{ connectString: string; stop(): void }> {
  const script = fileURLToPath(new URL('stub-server.js', import.meta.url))
  const child = spawn(process.execPath, [script, String(dataBytes)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [port] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { connectString: `127.0.0.1:${port}`, stop: () => child.stdin.end() }
}
