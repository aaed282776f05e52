/** Who is behind claims, by the marks that Entra puts on agents. */
import { describe, expect, it } from '@jest/globals'
import {
  type CallerKind,
  callerFromClaims,
  callerKinds,
  contradictsItself,
  hasReadableFacets,
  isUnscoped,
  personFromClaims,
} from '../../lib/entra/caller-claims.js'

const ids = { tid: 't', oid: 'o' }

describe('callerFromClaims', () => {
  it.each<[CallerKind, object]>([
    ['user', { scp: 'notes.read' }],
    ['user', { idtyp: 'user', scp: 'notes.read', xms_act_fct: '3 9', xms_sub_fct: '' }],
    ['agent-for-user', { idtyp: 'user', scp: 'notes.read', xms_act_fct: '3 11' }],
    ['agent-for-user', { scp: 'notes.read', xms_par_app_azp: 'b' }],
    ['agent', { idtyp: 'app', xms_act_fct: '11', xms_sub_fct: '11', scp: '/' }],
    ['agent', { xms_sub_fct: '9 3 11', scp: '/', roles: ['r'] }],
    ['agent', { idtyp: 'app', xms_par_app_azp: 'b' }],
    ['agent-user', { idtyp: 'user', xms_act_fct: '11', xms_sub_fct: '13', scp: 'notes.read' }],
    ['app', { idtyp: 'app' }],
    ['app', { roles: ['r'], sub: 'o' }],
    ['app', { roles: ['r'], sub: 'o', scp: '/' }],
  ])('reads the kind %s in %j', (kind, claims) => {
    expect(callerKinds).toContain(kind)
    expect(callerFromClaims({ ...ids, ...claims }).kind).toBe(kind)
  })

  it('names the agent and its blueprint, as far as the token does', () => {
    const agent = { ...ids, idtyp: 'app', xms_act_fct: '11' }
    expect(callerFromClaims({ ...agent, azp: 'a', xms_par_app_azp: 'b', roles: ['r'] })).toEqual({
      kind: 'agent',
      ...ids,
      roles: ['r'],
      agent: { id: 'a', blueprint: 'b' },
    })
    expect(callerFromClaims({ ...agent, azp: 'a' }).agent).toEqual({ id: 'a' })
    expect(callerFromClaims(agent).agent).toEqual({ id: '' })
  })

  it('names no agent where none acts', () => {
    expect(callerFromClaims({ ...ids, scp: 'x', azp: 'a' })).toEqual({
      kind: 'user',
      ...ids,
      roles: [],
    })
  })
})

describe('personFromClaims', () => {
  it('takes nobody who has logged in for an app, however the claims look', () => {
    const claims = { ...ids, roles: ['r'], sub: 'o' }
    expect(callerFromClaims(claims).kind).toBe('app')
    expect(personFromClaims(claims).kind).toBe('user')
    expect(personFromClaims({ ...claims, xms_act_fct: '11' }).kind).toBe('agent-for-user')
  })
})

describe('contradictsItself', () => {
  it.each<[boolean, Record<string, unknown>]>([
    [true, { idtyp: 'user', xms_sub_fct: '11' }],
    [true, { idtyp: 'device', xms_sub_fct: '3 11' }],
    [true, { idtyp: 'device' }],
    [true, { idtyp: 'App' }],
    [true, { idtyp: '' }],
    [true, { idtyp: 'app', xms_sub_fct: '13' }],
    [true, { xms_sub_fct: '11 13' }],
    [true, { idtyp: 'app', xms_sub_fct: '13 11' }],
    [false, { idtyp: 'user', xms_sub_fct: '13' }],
    [false, { idtyp: 'app', xms_sub_fct: '11' }],
    [false, { xms_sub_fct: '11' }],
    [false, { xms_sub_fct: '13' }],
    [false, { idtyp: 'user', xms_act_fct: '11' }],
    [false, {}],
  ])('is %s of %j', (expected, claims) => {
    expect(contradictsItself(claims)).toBe(expected)
  })
})

describe('hasReadableFacets', () => {
  it.each<[boolean, unknown]>([
    [true, undefined],
    [true, ''],
    [true, '3 11 9'],
    [true, '3\t13 '],
    [false, '11,13'],
    [false, '[13]'],
    [false, '0x0d'],
    [false, 'AgentIDUser'],
    [false, 13],
    [false, ['13']],
    [false, null],
  ])('is %s of %j', (expected, facets) => {
    expect(hasReadableFacets({ xms_sub_fct: facets })).toBe(expected)
    expect(hasReadableFacets({ xms_act_fct: facets })).toBe(expected)
  })
})

describe('isUnscoped', () => {
  it.each<[boolean, unknown]>([
    [true, undefined],
    [true, ''],
    [true, '/'],
    [true, ' / '],
    [false, 'notes.read'],
    [false, '/ notes.read'],
    [false, '//'],
    [false, ['notes.read']],
    [false, null],
  ])('is %s of %j', (expected, scp) => {
    expect(isUnscoped(scp)).toBe(expected)
  })
})
