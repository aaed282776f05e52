/** Express 4 under its alias: for what we do with it, the types of Express 5 fit. */
declare module 'express4' {
  import express from 'express'
  export default express
}
