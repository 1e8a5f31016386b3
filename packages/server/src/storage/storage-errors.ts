import { ConclaveError } from '@conclave/core'

/** The data folder cannot be used: it is a file, holds something else, or cannot be read or written. */
export class DataFolderError extends ConclaveError {
  override readonly name = 'DataFolderError'
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'DATA_FOLDER', cause })
  }
}

/** The data folder, which was there, is there no more. */
export class DataFolderGoneError extends ConclaveError {
  override readonly name = 'DataFolderGoneError'
  constructor(folder: string) {
    super(`the data folder ${folder} is there no more`, { code: 'DATA_FOLDER_GONE' })
  }
}

/** Another live server has the data folder. */
export class DataFolderLockedError extends ConclaveError {
  override readonly name = 'DataFolderLockedError'
  constructor(message: string) {
    super(message, { code: 'DATA_FOLDER_LOCKED' })
  }
}

/** A file of the data folder does not say what it must, so that serving from it could lose what was acknowledged. */
export class CorruptDataError extends ConclaveError {
  override readonly name = 'CorruptDataError'
  constructor(file: string, offset: number, what: string) {
    super(`${file} is corrupt at offset ${offset}: ${what}; restore it, or move it away to do without it`, {
      code: 'DATA_CORRUPT',
    })
  }
}
