/** No gate at all: what everything is compared to. At `/parsed` the body is parsed, as guards have to. */
import express from 'express'

export function makeGate() {
  return { middlewares: [], more: { '/parsed': [express.json()] } }
}
