/** What the thread tells: it is there, an order is done, or the disk refused one, after which it takes no more. */
export type FromLogThread =
  | { readonly type: 'ready' }
  | { readonly type: 'done' }
  | {
      readonly type: 'failed'
      readonly message: string
      /** `code`, `errno` and `syscall`, which errors lose on their way between threads. */
      readonly fields: object
    }
