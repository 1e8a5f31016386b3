import type { Acl } from '@conclave/protocol'
import { parentPath } from '@conclave/protocol'
import type { DataTree } from './data-tree.ts'

/** What the checks before a write need to know of a znode. */
export interface ZnodeView {
  readonly version: number
  readonly cversion: number
  readonly aversion: number
  readonly owner: bigint
  readonly childCount: number
  readonly dataLength: number
  readonly acl: { readonly acl: readonly Acl[] }
}

/** Where the checks look: the tree itself, or the tree as the earlier parts of a multi will have left it. */
export interface TreeView {
  get(path: string): ZnodeView | undefined
  /** The one above a path. */
  above(path: string): ZnodeView | undefined
}

type Changed = { -readonly [Field in keyof ZnodeView]: ZnodeView[Field] }

/** The tree with changes on top that may yet be dropped: what a multi has prepared so far. */
export class PendingChanges implements TreeView {
  readonly #tree: DataTree
  /** `undefined` as a value: deleted. */
  readonly #changed = new Map<string, Changed | undefined>()

  constructor(tree: DataTree) {
    this.#tree = tree
  }

  get(path: string): ZnodeView | undefined {
    return this.#changed.has(path) ? this.#changed.get(path) : this.#tree.get(path)
  }

  above(path: string): ZnodeView | undefined {
    return this.get(parentPath(path))
  }

  #forChange(path: string): Changed {
    const { version, cversion, aversion, owner, childCount, dataLength, acl } = this.get(path)!
    const copy = { version, cversion, aversion, owner, childCount, dataLength, acl }
    this.#changed.set(path, copy)
    return copy
  }

  create(path: string, acl: readonly Acl[], owner: bigint, parentCversion: number, dataLength: number): void {
    const parent = this.#forChange(parentPath(path))
    parent.cversion = parentCversion
    parent.childCount++
    this.#changed.set(path, {
      version: 0,
      cversion: 0,
      aversion: 0,
      owner,
      childCount: 0,
      dataLength,
      acl: { acl },
    })
  }

  delete(path: string): void {
    this.#forChange(parentPath(path)).childCount--
    this.#changed.set(path, undefined)
  }

  setData(path: string, version: number, dataLength: number): void {
    const znode = this.#forChange(path)
    znode.version = version
    znode.dataLength = dataLength
  }
}
